import type { AuthContext } from '@grpc/grpc-js/build/src/auth-context.js';
import { type CertificateSubject, type Peer, peerOf } from './tls-identity.ts';

/** The part of a grpc-js server call that says who calls. */
export interface IdentifiedCall {
  getAuthContext(): AuthContext;
}

/** A certificate does not change during a connection, and asking Node for it costs a third of a millisecond. */
const PEERS = new WeakMap<object, Peer>();

/** The peer of a call from its verified client certificate; undefined for a caller without one. */
export function callerOf(call: IdentifiedCall): Peer | undefined {
  const connection = connectionOf(call);
  const known = connection && PEERS.get(connection);
  if (known) return known;
  const subject = call.getAuthContext().sslPeerCertificate?.subject as CertificateSubject | undefined;
  const peer = subject && peerOf(subject);
  if (peer && connection) PEERS.set(connection, peer);
  return peer;
}

/**
 * The HTTP/2 session a call came on: an internal detail of grpc-js, which has no name for the connection that cannot be reused
 * by the next one. Should it move, every call asks for the certificate again.
 */
function connectionOf(call: IdentifiedCall): object | undefined {
  const session = (call as { call?: { stream?: { session?: unknown } } }).call?.stream?.session;
  return typeof session === 'object' && session !== null ? session : undefined;
}
