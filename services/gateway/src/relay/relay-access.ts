import { permissionDenied } from '@atoll/errors';
import type { ContainerView } from '../resources/container/container-view.ts';
import { hasSocketMount, type SocketMountPolicy } from '../resources/container/socket-mounts.ts';

/** What is known of containers here. */
export interface KnownContainers {
  get(id: string): ContainerView | undefined;
  onContainerChange(listener: (id: string) => void): () => void;
}

/** A container that another gateway made is known here a moment later. */
const SEEN_MS = 2_000;

/**
 * Whether a host may bring a connection of a container. Its word is not enough: desired state must say that the container is there and
 * was made with a mount of the Docker socket, so a host has no more of the API than its containers were given.
 */
export class RelayAccess {
  readonly #containers: KnownContainers;
  readonly #policy: SocketMountPolicy;
  readonly #seenMs: number;

  constructor(containers: KnownContainers, policy: SocketMountPolicy, seenMs = SEEN_MS) {
    this.#containers = containers;
    this.#policy = policy;
    this.#seenMs = seenMs;
  }

  /** @throws permission-denied */
  async admit(containerId: string, nodeId: string): Promise<void> {
    const { refusal } = this.#policy;
    if (refusal !== undefined) throw permissionDenied(refusal);
    if (this.#isAllowed(containerId, nodeId) || (await this.#becomesAllowed(containerId, nodeId))) return;
    throw permissionDenied(`container ${containerId} has no mount of the Docker socket on node ${nodeId}`);
  }

  #isAllowed(containerId: string, nodeId: string): boolean {
    const view = this.#containers.get(containerId);
    return view !== undefined && view.record.nodeId === nodeId && hasSocketMount(view.spec);
  }

  #becomesAllowed(containerId: string, nodeId: string): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (allowed: boolean): void => {
        clearTimeout(late);
        stop();
        resolve(allowed);
      };
      const late = setTimeout(() => settle(false), this.#seenMs);
      const stop = this.#containers.onContainerChange((id) => {
        if (id === containerId && this.#isAllowed(containerId, nodeId)) settle(true);
      });
    });
  }
}
