import { unauthenticated } from '@atoll/errors';
import { z } from 'zod';
import type { RegistryCredentials } from '../../domain/remote/remote-repository.ts';
import { parseChallenge } from './challenge.ts';
import { type HttpRequest, readBody, send } from './http-client.ts';

const tokenSchema = z.object({ token: z.string().optional(), access_token: z.string().optional() });
const TOKEN_BYTES = 256 * 1024;

export interface AuthenticatorOptions {
  /** Base of the registry. */
  readonly url: string;
  readonly scope: string;
  readonly credentials: RegistryCredentials | undefined;
}

/** Answers a registry's challenges for one repository; remembers what worked. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  #authorization: string | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    const token = options.credentials?.registryToken;
    if (token) this.#authorization = `Bearer ${token}`;
  }

  /**
   * Sends a request with what is known; a 401 is answered once. `body` makes the body anew for the second try.
   * Errors: those of send(), unauthenticated.
   */
  async send(request: HttpRequest, signal: AbortSignal, body?: () => Promise<HttpRequest['body']>): Promise<Response> {
    const attempt = async (): Promise<Response> =>
      send(
        { ...request, headers: this.#headers(request), ...(body === undefined ? {} : { body: await body() }) },
        signal,
      );
    const response = await attempt();
    if (response.status !== 401) return response;
    const challenge = parseChallenge(response.headers.get('www-authenticate'));
    if (challenge === undefined) return response;
    const before = this.#authorization;
    if (challenge.scheme === 'basic') this.#authorization = this.#basic();
    else this.#authorization = `Bearer ${await this.#token(challenge, signal)}`;
    if (this.#authorization === undefined || this.#authorization === before) return response;
    await response.body?.cancel();
    return await attempt();
  }

  #headers(request: HttpRequest): Readonly<Record<string, string>> {
    const same = new URL(request.url).origin === new URL(this.#options.url).origin;
    if (!same || this.#authorization === undefined) return request.headers;
    return { ...request.headers, Authorization: this.#authorization };
  }

  #basic(): string | undefined {
    const { credentials } = this.#options;
    if (credentials === undefined || credentials.username === '') return undefined;
    return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  }

  async #token(
    { realm, service, scope }: { realm: string; service: string; scope: string },
    signal: AbortSignal,
  ): Promise<string> {
    const url = this.#realm(realm);
    const trusted = sameSite(url, new URL(this.#options.url));
    const identity = trusted ? this.#options.credentials?.identityToken : undefined;
    const wanted = scope || this.#options.scope;
    const response = await (identity
      ? send(refreshRequest(url, service, wanted, identity), signal)
      : send({ method: 'GET', url: query(url, service, wanted), headers: this.#tokenHeaders(trusted) }, signal));
    const bytes = await readBody(response, TOKEN_BYTES);
    if (!response.ok) {
      throw unauthenticated(`unauthorized: ${url.host} gave no token (${response.status}); check the credentials`, {
        details: { oci: 'UNAUTHORIZED' },
      });
    }
    const parsed = tokenSchema.safeParse(JSON.parse(Buffer.from(bytes).toString() || '{}'));
    const token = parsed.data?.token ?? parsed.data?.access_token;
    if (token === undefined)
      throw unauthenticated(`${url.host} answered without a token`, { details: { oci: 'UNAUTHORIZED' } });
    return token;
  }

  #realm(realm: string): URL {
    const url = URL.canParse(realm) ? new URL(realm) : undefined;
    const plainAllowed = new URL(this.#options.url).protocol === 'http:';
    if (url?.protocol === 'https:' || (plainAllowed && url?.protocol === 'http:')) return url;
    throw unauthenticated(`the registry asks for a token from "${realm.slice(0, 200)}", which is no https address`);
  }

  #tokenHeaders(trusted: boolean): Readonly<Record<string, string>> {
    const basic = trusted ? this.#basic() : undefined;
    return basic === undefined ? {} : { Authorization: basic };
  }
}

/** Credentials go to a token service only when it belongs to the registry: same host, or same last two labels of its name. */
function sameSite(a: URL, b: URL): boolean {
  if (a.hostname === b.hostname) return true;
  if (/^[\d.]+$|^\[/.test(a.hostname) || /^[\d.]+$|^\[/.test(b.hostname)) return false;
  const site = (url: URL): string => url.hostname.split('.').slice(-2).join('.');
  return site(a) === site(b) && site(a).includes('.');
}

function query(realm: URL, service: string, scope: string): string {
  const url = new URL(realm);
  if (service !== '') url.searchParams.set('service', service);
  for (const part of scope.split(' ').filter(Boolean)) url.searchParams.append('scope', part);
  return url.href;
}

function refreshRequest(realm: URL, service: string, scope: string, refreshToken: string): HttpRequest {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
    client_id: 'atoll',
    service,
    scope,
  });
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  return { method: 'POST', url: realm.href, headers, body: Buffer.from(form.toString()) };
}
