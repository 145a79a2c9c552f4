import { experimental, type ServerCredentials } from '@grpc/grpc-js';
import type { TlsIdentity } from './tls-identity.ts';

/**
 * Server side of mutual TLS from certificates in memory. The CA is sent with the chain so that one who joins can check it
 * against the hash in its token. With `required` false the handshake also admits clients without a certificate.
 */
export function serverCredentials(tls: TlsIdentity, required: boolean): ServerCredentials {
  const chain = Buffer.concat([tls.cert, Buffer.from('\n'), tls.ca]);
  const provider: experimental.CertificateProvider = {
    // Told a tick later: grpc-js registers the listener before the server that is to hear of the certificates.
    addCaCertificateListener: (listener) => queueMicrotask(() => listener({ caCertificate: tls.ca })),
    removeCaCertificateListener: () => undefined,
    addIdentityCertificateListener: (listener) =>
      queueMicrotask(() => listener({ certificate: chain, privateKey: tls.key })),
    removeIdentityCertificateListener: () => undefined,
  };
  return experimental.createCertificateProviderServerCredentials(provider, provider, required);
}
