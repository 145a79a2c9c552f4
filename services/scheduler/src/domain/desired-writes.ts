import { CONTAINERS, type DesiredWriter, LEFTOVERS, NETWORKS, NODES, stateKey, VOLUMES } from '@atoll/bus';
import { AtollError, notFound } from '@atoll/errors';
import { containerV1, type networkV1, type nodeV1, type volumeV1 } from '@atoll/proto';
import type { ClusterState } from './cluster-state.ts';
import { leftoverId } from './volume-hosts.ts';

/** Changes of desired state: each is durable before it answers, and in the state's mirrors at once. */
export class DesiredWrites {
  readonly #writer: DesiredWriter;
  readonly #state: ClusterState;

  constructor(writer: DesiredWriter, state: ClusterState) {
    this.#writer = writer;
    this.#state = state;
  }

  /** What is being removed counts as gone. Errors: not-found with Docker's text. */
  container(id: string): containerV1.ContainerRecord & { readonly spec: containerV1.ContainerSpec } {
    const record = this.#state.records.get(id);
    if (!record?.spec || record.desired === containerV1.DesiredState.REMOVED)
      throw notFound(`No such container: ${id}`);
    return { ...record, spec: record.spec };
  }

  async putContainer(record: containerV1.ContainerRecord): Promise<containerV1.ContainerRecord> {
    this.#state.hold(record);
    try {
      const revision = await this.#writer.put(stateKey(CONTAINERS.kind, record.id), CONTAINERS.encode(record));
      const stored = { ...record, revision };
      this.#state.records.apply(record.id, stored, revision);
      return stored;
    } catch (error) {
      void this.#released(error, () => this.#state.settle(record.id));
      throw error;
    }
  }

  async deleteContainer(id: string): Promise<bigint> {
    const revision = await this.#writer.delete(stateKey(CONTAINERS.kind, id));
    this.#state.records.apply(id, undefined, revision);
    return revision;
  }

  async putNetwork(record: networkV1.NetworkRecord): Promise<networkV1.NetworkRecord> {
    const { networks } = this.#state;
    networks.claim(record);
    try {
      const revision = await this.#writer.put(stateKey(NETWORKS.kind, record.id), NETWORKS.encode(record));
      const stored = { ...record, revision };
      networks.records.apply(record.id, stored, revision);
      return stored;
    } catch (error) {
      void this.#released(error, () => networks.settle(record.id));
      throw error;
    }
  }

  /** From the call on nobody finds it. */
  async deleteNetwork(id: string): Promise<bigint> {
    const { networks } = this.#state;
    networks.leave(id);
    try {
      const revision = await this.#writer.delete(stateKey(NETWORKS.kind, id));
      networks.records.apply(id, undefined, revision);
      return revision;
    } catch (error) {
      void this.#released(error, () => networks.settle(id));
      throw error;
    }
  }

  async putNode(record: nodeV1.NodeRecord): Promise<nodeV1.NodeRecord> {
    const revision = await this.#writer.put(stateKey(NODES.kind, record.id), NODES.encode(record));
    const stored = { ...record, revision };
    this.#state.nodes.apply(record.id, stored, revision);
    return stored;
  }

  async deleteNode(id: string): Promise<void> {
    const revision = await this.#writer.delete(stateKey(NODES.kind, id));
    this.#state.nodes.apply(id, undefined, revision);
  }

  async putVolume(record: volumeV1.VolumeRecord): Promise<volumeV1.VolumeRecord> {
    const revision = await this.#writer.put(stateKey(VOLUMES.kind, record.name), VOLUMES.encode(record));
    const stored = { ...record, revision };
    this.#state.volumes.records.apply(record.name, stored, revision);
    return stored;
  }

  async deleteVolume(name: string): Promise<bigint> {
    const revision = await this.#writer.delete(stateKey(VOLUMES.kind, name));
    this.#state.volumes.records.apply(name, undefined, revision);
    return revision;
  }

  async putLeftover(leftover: volumeV1.VolumeLeftover): Promise<void> {
    const id = leftoverId(leftover.nodeId, leftover.name);
    const revision = await this.#writer.put(stateKey(LEFTOVERS.kind, id), LEFTOVERS.encode(leftover));
    this.#state.volumes.leftovers.apply(id, leftover, revision);
  }

  async deleteLeftover({ nodeId, name }: volumeV1.VolumeLeftover): Promise<void> {
    const id = leftoverId(nodeId, name);
    const revision = await this.#writer.delete(stateKey(LEFTOVERS.kind, id));
    this.#state.volumes.leftovers.apply(id, undefined, revision);
  }

  async putRaw(kind: string, id: string, value: Uint8Array): Promise<bigint> {
    return this.#writer.put(stateKey(kind, id), value);
  }

  async deleteRaw(kind: string, id: string): Promise<bigint> {
    return this.#writer.delete(stateKey(kind, id));
  }

  /** What a write that may still land has taken stays taken until the chain is settled behind it. */
  async #released(error: unknown, giveBack: () => void): Promise<void> {
    if (error instanceof AtollError && error.details['outcome'] === 'unknown') {
      const tail = await this.#writer.settled().catch(() => undefined);
      if (tail === undefined) return;
    }
    giveBack();
  }
}
