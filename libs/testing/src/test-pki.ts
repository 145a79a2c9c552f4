import { type Authority, createAuthority, createSigningRequest, issueCertificate } from '@atoll/identity';
import { type Role, type TlsIdentity, tlsIdentity } from '@atoll/rpc';

/** A throw-away certificate authority and what it signs, all in memory. */
export interface TestPki {
  readonly authority: Authority;
  identity(role: Role, id: string): Promise<TlsIdentity>;
}

export async function testPki(): Promise<TestPki> {
  const authority = await createAuthority({ clusterId: 'atoll-test' });
  return {
    authority,
    identity: async (role, id) => {
      const request = await createSigningRequest(id);
      const certificate = await issueCertificate(authority, {
        role,
        id,
        addresses: ['127.0.0.1'],
        csrPem: request.csrPem,
      });
      return tlsIdentity(
        Buffer.from(authority.certificatePem),
        Buffer.from(certificate),
        Buffer.from(request.privateKeyPem),
      );
    },
  };
}
