import { permissionDenied } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';

/** Which binds are of the Docker socket, and whether containers may have them. */
export interface SocketMountPolicy {
  /** Sources that mean the socket. */
  readonly sources: ReadonlySet<string>;
  /** Why nobody may; undefined: everybody may. */
  readonly refusal?: string;
}

/** Where programs expect docker's socket. */
const USUAL = ['/var/run/docker.sock', '/run/docker.sock'];

/** `own`: where this gateway's socket is, which clients that connect to it ask for. */
export function socketMountPolicy(own: string, refusal: string | undefined): SocketMountPolicy {
  return { sources: new Set([...USUAL, own]), ...(refusal !== undefined && { refusal }) };
}

/**
 * Marks binds of the Docker socket: on every host they become a socket of the cluster's API.
 * @throws permission-denied where they are refused
 */
export function markSocketMounts(mounts: readonly containerV1.Mount[], policy: SocketMountPolicy): void {
  for (const mount of mounts) {
    if (mount.type === 'bind' && policy.sources.has(mount.source)) mount.apiSocket = true;
    if (mount.apiSocket && policy.refusal !== undefined) {
      throw permissionDenied(`bind mount "${mount.source}" is refused: ${policy.refusal}`);
    }
  }
}

export function hasSocketMount(spec: Pick<containerV1.ContainerSpec, 'mounts'>): boolean {
  return spec.mounts.some(({ apiSocket }) => apiSocket);
}
