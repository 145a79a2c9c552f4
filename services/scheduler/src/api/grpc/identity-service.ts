import { unauthenticated } from '@atoll/errors';
import type { identityV1 } from '@atoll/proto';
import { type AllowTable, type Handlers, ROLES } from '@atoll/rpc';
import type { Identities } from '../../domain/identities.ts';

type Definition = typeof identityV1.IdentityServiceService;

export const IDENTITY_SERVICE_ROLES: AllowTable<Definition> = {
  // The token stands for the certificate that a host which joins does not have yet.
  join: ['anonymous'],
  createToken: ['operator', 'gateway'],
  rotateTokens: ['operator', 'gateway'],
  renewCertificate: ROLES,
};

export function identityService(identities: Identities): Handlers<Definition> {
  return {
    join: (request) => identities.join(request),
    createToken: async ({ role, ttlSeconds }) => ({ token: await identities.createToken(role, ttlSeconds) }),
    rotateTokens: async ({ role }) => ({ token: await identities.rotateTokens(role) }),
    renewCertificate: async (request, { peer }) => {
      if (!peer) throw unauthenticated('a certificate is renewed with the one it follows');
      return identities.renew(request, peer);
    },
  };
}
