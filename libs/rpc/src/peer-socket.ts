import { createConnection, type Socket } from 'node:net';
import { connect, type SecureContextOptions, TLSSocket, type TlsOptions } from 'node:tls';
import { type CertificateSubject, type Peer, peerOf, type Role, type TlsIdentity } from './tls-identity.ts';

const KEEP_ALIVE_MS = 15_000;

/** One connection between two parties of the cluster that carries bytes and no gRPC. */
export interface PeerSocket {
  /** Ends its two directions one by one. */
  readonly socket: TLSSocket;
  /** Cuts it, so that the other side hears of an error and not of an end. */
  reset(): void;
}

/**
 * Opens one. The other side must have a certificate of the role; its host name is not looked at. What goes wrong comes as the
 * socket's `error`.
 */
export function connectPeer(address: string, tls: TlsIdentity, serverRole: Role): PeerSocket {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  const transport = createConnection({ host, port: Number(address.slice(at + 1)), noDelay: true, allowHalfOpen: true });
  transport.setKeepAlive(true, KEEP_ALIVE_MS);
  const socket = connect({
    socket: transport,
    ...certificates(tls),
    // Addresses are IPs, which TLS has no server names for; the role is what is checked anyway.
    servername: `${serverRole}.atoll`,
    checkServerIdentity: (_host, certificate) => serverMismatch(address, certificate, serverRole),
  });
  transport.on('error', (error) => socket.destroy(error));
  return { socket, reset: () => reset(transport, socket) };
}

/** For a TLS server all of whose clients are parties of the cluster. */
export function peerServerOptions(tls: TlsIdentity): TlsOptions & SecureContextOptions {
  return { ...certificates(tls), requestCert: true, rejectUnauthorized: true, allowHalfOpen: true };
}

/** Who is at the other end, by its verified certificate; undefined for a stranger. */
export function peerOfSocket(socket: unknown): Peer | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject as unknown as CertificateSubject | undefined;
  return subject && peerOf(subject);
}

/** Why a server is not the one that is wanted. */
export function serverMismatch(
  address: string,
  certificate: { readonly subject: unknown },
  serverRole: Role,
  serverId?: string,
): Error | undefined {
  const peer = peerOf(certificate.subject as CertificateSubject);
  if (peer?.role === serverRole && (serverId === undefined || peer.id === serverId)) return undefined;
  const found = peer ? `${peer.role} ${peer.id}` : 'a stranger';
  return new Error(`${address} is ${found}, not ${[serverRole, serverId].filter(Boolean).join(' ')}`);
}

function certificates({ ca, cert, key }: TlsIdentity): SecureContextOptions {
  return { ca, cert, key, minVersion: 'TLSv1.3' };
}

function reset(transport: Socket, socket: TLSSocket): void {
  if (!transport.destroyed) transport.resetAndDestroy();
  socket.destroy();
}
