import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { TlsIdentity } from './tls-identity.ts';

/**
 * Server side of mutual TLS from certificates in memory. The CA is sent with the chain so that one who joins can check it
 * against the hash in its token. With `required` false the handshake also admits clients without a certificate.
 */
export function serverCredentials(tls: TlsIdentity, required: boolean): ServerCredentials {
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener: (listener) => listener({ caCertificate: tls.ca }),
    removeCaCertificateListener: () => undefined,
    addIdentityCertificateListener: (listener) =>
      listener({ certificate: Buffer.concat([tls.cert, Buffer.from('\n'), tls.ca]), privateKey: tls.key }),
    removeIdentityCertificateListener: () => undefined,
  };
  return experimental.createCertificateProviderServerCredentials(provider, provider, required);
}
