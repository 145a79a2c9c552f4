import { randomBytes } from 'node:crypto';
import type { Collection, Mirror } from '@atoll/bus';
import { dataLoss, invalidArgument, resourceExhausted, unauthenticated } from '@atoll/errors';
import { hashSecret, newTokenSecret, secretMatches } from '@atoll/identity';
import { z } from 'zod';
import type { DesiredWrites } from './desired-writes.ts';

/** What is stored of a join token: never its secret. */
export interface TokenRecord {
  readonly id: string;
  readonly role: string;
  readonly hash: string;
  /** Unix ms; 0 = until rotated. */
  readonly expiresAtMs: number;
}

const STORED = z.object({ id: z.string(), role: z.string(), hash: z.string(), expiresAtMs: z.number() });

export const TOKENS: Collection<TokenRecord> = {
  kind: 'token',
  encode: (token) => new TextEncoder().encode(JSON.stringify(token)),
  decode: (bytes) => {
    const parsed = STORED.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    if (!parsed.success) throw dataLoss('a stored join token is malformed');
    return parsed.data;
  },
};

/** Only hosts join by token; services get their certificates from the launcher. */
const ROLES: ReadonlySet<string> = new Set(['node']);
const MAX_TOKENS = 64;
const MAX_TTL_SECONDS = 10n * 365n * 86_400n;

/** The tokens hosts join with. */
export class JoinTokens {
  readonly #tokens: Mirror<TokenRecord>;
  readonly #writes: DesiredWrites;

  constructor(tokens: Mirror<TokenRecord>, writes: DesiredWrites) {
    this.#tokens = tokens;
    this.#writes = writes;
  }

  /** The new token's secret. Errors: invalid-argument (role, ttl), resource-exhausted when too many are valid. */
  async create(role: string, ttlSeconds: bigint): Promise<string> {
    assertRole(role);
    if (ttlSeconds < 0n || ttlSeconds > MAX_TTL_SECONDS)
      throw invalidArgument('the ttl of a token is between 0 and 10 years');
    for (const token of [...this.#tokens.values()]) if (isExpired(token)) await this.#delete(token);
    if (this.#tokens.size >= MAX_TOKENS)
      throw resourceExhausted(`${MAX_TOKENS} join tokens are valid already: rotate them`);
    return this.#store(role, ttlSeconds);
  }

  /** Ends all tokens of a role and makes a new one. Errors: invalid-argument. */
  async rotate(role: string): Promise<string> {
    assertRole(role);
    const secret = await this.#store(role, 0n);
    const hash = hashSecret(secret);
    for (const token of [...this.#tokens.values()])
      if (token.role === role && token.hash !== hash) await this.#delete(token);
    return secret;
  }

  /** The role a secret stands for. Every stored token is compared, each in constant time. Errors: unauthenticated. */
  roleOf(secret: string): string {
    let role: string | undefined;
    for (const token of this.#tokens.values()) {
      const matches = secretMatches(secret, token.hash);
      if (matches && !isExpired(token)) role = token.role;
    }
    if (role === undefined)
      throw unauthenticated('the join token is not valid: it was rotated, has expired, or is of another cluster');
    return role;
  }

  async #store(role: string, ttlSeconds: bigint): Promise<string> {
    const secret = newTokenSecret();
    const token: TokenRecord = {
      id: randomBytes(8).toString('hex'),
      role,
      hash: hashSecret(secret),
      expiresAtMs: ttlSeconds === 0n ? 0 : Date.now() + Number(ttlSeconds) * 1_000,
    };
    const revision = await this.#writes.putRaw(TOKENS.kind, token.id, TOKENS.encode(token));
    this.#tokens.apply(token.id, token, revision);
    return secret;
  }

  async #delete(token: TokenRecord): Promise<void> {
    const revision = await this.#writes.deleteRaw(TOKENS.kind, token.id);
    this.#tokens.apply(token.id, undefined, revision);
  }
}

function assertRole(role: string): void {
  if (!ROLES.has(role)) throw invalidArgument(`no join tokens for role ${JSON.stringify(role)}: hosts join as node`);
}

function isExpired(token: TokenRecord): boolean {
  return token.expiresAtMs !== 0 && token.expiresAtMs <= Date.now();
}
