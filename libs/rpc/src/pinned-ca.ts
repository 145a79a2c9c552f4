import { createHash, timingSafeEqual } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { deadlineExceeded, permissionDenied, unavailable } from '@atoll/errors';

/**
 * The CA certificate (PEM) a server presents, when its SHA-256 (hex, over the DER) is the pinned one: how a machine that
 * knows only a join token learns whom to trust. Nothing is sent to the server. Throws permission-denied for another CA.
 */
export async function fetchPinnedCa(address: string, sha256: string, timeoutMs = 10_000): Promise<Buffer> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at);
  const port = Number(address.slice(at + 1));
  const root = await new Promise<DetailedPeerCertificate>((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'], timeout: timeoutMs });
    socket.once('secureConnect', () => {
      let certificate = socket.getPeerCertificate(true);
      while (certificate.issuerCertificate && certificate.issuerCertificate !== certificate) {
        certificate = certificate.issuerCertificate;
      }
      socket.destroy();
      resolve(certificate);
    });
    socket.once('timeout', () => {
      socket.destroy();
      reject(deadlineExceeded(`${address} did not answer within ${timeoutMs} ms`));
    });
    socket.once('error', (cause) => reject(unavailable(`cannot reach ${address}: ${cause.message}`, { cause })));
  });
  const found = createHash('sha256').update(root.raw).digest();
  const wanted = Buffer.from(sha256, 'hex');
  if (wanted.length !== found.length || !timingSafeEqual(found, wanted)) {
    throw permissionDenied(`${address} presents another CA than the one in the token; is it another cluster?`);
  }
  const body = root.raw.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return Buffer.from(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`);
}
