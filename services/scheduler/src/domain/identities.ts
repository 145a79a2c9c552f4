import { randomBytes } from 'node:crypto';
import { failedPrecondition, invalidArgument, unauthenticated } from '@atoll/errors';
import { type Authority, formatToken, issueCertificate, parseToken } from '@atoll/identity';
import type { identityV1 } from '@atoll/proto';
import type { Peer } from '@atoll/rpc';
import type { Leadership } from './leadership.ts';
import { RateLimit } from './rate-limit.ts';

export interface IdentitySettings {
  /** The cluster's CA; undefined on a replica that does not hold its key. */
  readonly authority: Authority | undefined;
  readonly clusterId: string;
  /** Addresses a host that joins is told. */
  readonly schedulers: readonly string[];
  readonly registry: string;
}

const HOSTNAME = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,40}[A-Za-z0-9])?$/;

/** Who is who: certificates for hosts that join and for those whose certificate runs out. */
export class Identities {
  readonly #leadership: Leadership;
  readonly #settings: IdentitySettings;
  readonly #attempts = new RateLimit({ perSecond: 5, burst: 50 });

  constructor(leadership: Leadership, settings: IdentitySettings) {
    this.#leadership = leadership;
    this.#settings = settings;
  }

  /**
   * A certificate for a new host. Its id is its hostname with random digits, so that no token gives anybody the identity of a
   * host that exists. Errors: resource-exhausted, unauthenticated, invalid-argument (hostname, addresses, request).
   */
  async join(request: identityV1.JoinRequest): Promise<identityV1.JoinResponse> {
    const { tokens } = this.#leadership.require();
    const authority = this.#authority();
    this.#attempts.take('join attempts');
    const token = parseToken(request.token);
    if (token.authorityFingerprint !== authority.fingerprint)
      throw unauthenticated('the join token is of another cluster');
    const role = tokens.roleOf(token.secret);
    if (!HOSTNAME.test(request.hostname))
      throw invalidArgument(`hostname ${JSON.stringify(request.hostname)} is not a plain host name`);
    const nodeId = `${request.hostname}-${randomBytes(4).toString('hex')}`;
    const certificatePem = await issueCertificate(authority, {
      role,
      id: nodeId,
      addresses: request.addresses,
      csrPem: request.csrPem,
    });
    return {
      nodeId,
      certificatePem,
      caPem: authority.certificatePem,
      clusterId: this.#settings.clusterId,
      schedulers: [...this.#settings.schedulers],
      registry: this.#settings.registry,
    };
  }

  async createToken(role: string, ttlSeconds: bigint): Promise<string> {
    const { tokens } = this.#leadership.require();
    return this.#format(await tokens.create(role, ttlSeconds));
  }

  async rotateTokens(role: string): Promise<string> {
    const { tokens } = this.#leadership.require();
    return this.#format(await tokens.rotate(role));
  }

  /** The same role and id for another time. Errors: invalid-argument (request), failed-precondition (no CA key here). */
  async renew(request: identityV1.RenewCertificateRequest, peer: Peer): Promise<identityV1.RenewCertificateResponse> {
    const authority = this.#authority();
    const facts = peer.role === 'node' ? this.#leadership.require().parts.state.nodes.get(peer.id)?.facts : undefined;
    const addresses = facts ? [hostOf(facts.address), facts.hostIp, facts.hostname].filter((text) => text !== '') : [];
    const certificatePem = await issueCertificate(authority, {
      role: peer.role,
      id: peer.id,
      addresses,
      csrPem: request.csrPem,
    });
    return { certificatePem, caPem: authority.certificatePem };
  }

  #format(secret: string): string {
    return formatToken({ authorityFingerprint: this.#authority().fingerprint, secret });
  }

  #authority(): Authority {
    if (this.#settings.authority) return this.#settings.authority;
    throw failedPrecondition("this scheduler does not hold the cluster CA's key: set ATOLL_CA_DIR where it does");
  }
}

function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(':'))).replace(/^\[|\]$/g, '');
}
