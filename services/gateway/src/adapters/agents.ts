import { unavailable } from '@atoll/errors';
import { type nodeV1, runtimeV1, volumeV1 } from '@atoll/proto';
import type { ChannelPool, Client } from '@atoll/rpc';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { NodeView } from '../resources/system/backend.ts';

export type VolumeDataClient = Client<volumeV1.VolumeDataServiceService>;
export type RuntimeClient = Client<runtimeV1.RuntimeServiceService>;

/** What is asked for each run, exec and inspect. */
const CARRIED = { carried: ['wait', 'createExec', 'inspectExec', 'resizeExec', 'resize', 'getStatus'] } as const;

/** Clients of the node agents, one warm channel each. */
export class Agents {
  readonly #pool: Pick<ChannelPool, 'get'>;
  readonly #clients = new Map<string, RuntimeClient>();

  constructor(pool: Pick<ChannelPool, 'get'>) {
    this.#pool = pool;
  }

  /** @throws unavailable when the container's node is unknown */
  of(view: ContainerView): RuntimeClient {
    const address = view.node?.facts?.address ?? '';
    if (address === '') {
      throw unavailable(
        `the host of container ${view.spec.name} is not known: ${view.record.lostReason || 'it may still be joining'}`,
      );
    }
    return this.#client(address, view.record.nodeId);
  }

  /** Connects to a node before it is needed. */
  warm(node: nodeV1.NodeRecord): void {
    const address = node.facts?.address ?? '';
    if (address !== '') this.#pool.get(address, 'node', node.id).connect();
  }

  ofNode({ record }: NodeView): RuntimeClient | undefined {
    const address = record.facts?.address ?? '';
    return address === '' ? undefined : this.#client(address, record.id);
  }

  /** @throws unavailable when the node is unknown */
  volumesOf(node: nodeV1.NodeRecord | undefined, what: string): VolumeDataClient {
    const address = node?.facts?.address ?? '';
    if (node === undefined || address === '')
      throw unavailable(`the host of ${what} is not known: it may still be joining`);
    return this.#pool.get(address, 'node', node.id).client(volumeV1.VolumeDataServiceService);
  }

  #client(address: string, nodeId: string): RuntimeClient {
    const key = `${nodeId} ${address}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const client = this.#pool.get(address, 'node', nodeId).client(runtimeV1.RuntimeServiceService, CARRIED);
    this.#clients.set(key, client);
    return client;
  }
}
