import { conflict, invalidArgument, unimplemented } from '@atoll/errors';
import { nodeV1 } from '@atoll/proto';
import type { ContainerManager } from '../containers/container-manager.ts';
import type { VolumeTransfer } from '../volumes/volume-transfer.ts';

const A = nodeV1.Action;
const OF_VOLUMES: ReadonlySet<nodeV1.Action> = new Set([
  A.REMOVE_VOLUME,
  A.GRANT_VOLUME,
  A.PULL_VOLUME,
  A.CLONE_VOLUME,
  A.END_VOLUME,
  A.FORGET_VOLUME,
]);

export const isVolumeOrder = ({ action }: nodeV1.Order): boolean => OF_VOLUMES.has(action);

/** Carries out orders that name a volume and no container. */
export class VolumeOrders {
  readonly #containers: Pick<ContainerManager, 'removeVolume'>;
  readonly #transfer: VolumeTransfer;
  readonly #onProgress: (progress: nodeV1.OrderProgress) => void;

  constructor(
    containers: Pick<ContainerManager, 'removeVolume'>,
    transfer: VolumeTransfer,
    onProgress: (progress: nodeV1.OrderProgress) => void,
  ) {
    this.#containers = containers;
    this.#transfer = transfer;
    this.#onProgress = onProgress;
  }

  async obey({ action, orderId, volume, volumeOrder }: nodeV1.Order): Promise<void> {
    if (action === A.FORGET_VOLUME) return this.#transfer.forget(volume);
    if (action === A.REMOVE_VOLUME) return this.#transfer.inTurn(volume, () => this.#remove(volume));
    if (!volumeOrder) throw invalidArgument('the order says nothing of the volume');
    const { operation, peerNodeId, newName, live } = volumeOrder;
    if (action === A.GRANT_VOLUME) return this.#transfer.sending.grant(volume, operation, peerNodeId);
    if (action === A.END_VOLUME) return this.#transfer.end(operation);
    if (action === A.CLONE_VOLUME) return this.#transfer.clone(volume, newName, operation, live);
    if (action === A.PULL_VOLUME) {
      const tell = (bytes: number): void => this.#onProgress({ orderId, bytes: BigInt(bytes) });
      return this.#transfer.pull({ ...volumeOrder, volume }, tell);
    }
    throw unimplemented(`this agent does not know the action ${action}`);
  }

  async #remove(volume: string): Promise<void> {
    if (this.#transfer.isRead(volume)) {
      throw conflict(`remove ${volume}: it is being copied; try again when that is over`);
    }
    await this.#containers.removeVolume(volume);
  }
}
