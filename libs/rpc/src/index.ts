export { AsyncQueue } from './async-queue.ts';
export { withBytesAnswers } from './bytes-answers.ts';
export type { CallContext } from './call-context.ts';
export { Channel, type ChannelOptions } from './channel.ts';
export { ChannelPool } from './channel-pool.ts';
export type { AllowTable, CallOptions, Client, ClientOptions, Handlers } from './definition.ts';
export { GrpcHost, type GrpcHostOptions } from './grpc-host.ts';
export { connectPeer, type PeerSocket, peerOfSocket, peerServerOptions } from './peer-socket.ts';
export { fetchPinnedCa } from './pinned-ca.ts';
export {
  loadTlsIdentity,
  type Peer,
  ROLES,
  type Role,
  type TlsIdentity,
  tlsIdentity,
} from './tls-identity.ts';
