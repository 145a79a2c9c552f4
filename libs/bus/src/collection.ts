import { containerV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';

/** One kind of key and what its values are. */
export interface Collection<T> {
  /** First part of the key: `container`. */
  readonly kind: string;
  encode(value: T): Uint8Array;
  /** `revision` is the one the value was stored at. */
  decode(bytes: Uint8Array, revision: bigint): T;
  /**
   * For values that carry their own order: is `next` not older than `current`? Without it the bucket's revision decides,
   * which is right for buckets that never start again from 1.
   */
  supersedes?(next: T, current: T): boolean;
}

/** Desired state of containers, key `container.<id>` of the durable bucket. */
export const CONTAINERS: Collection<containerV1.ContainerRecord> = {
  kind: 'container',
  encode: (record) => containerV1.ContainerRecord.encode({ ...record, revision: 0n }).finish(),
  decode: (bytes, revision) => ({ ...containerV1.ContainerRecord.decode(bytes), revision }),
};

/** Networks of users, key `network.<id>` of the durable bucket. */
export const NETWORKS: Collection<networkV1.NetworkRecord> = {
  kind: 'network',
  encode: (record) => networkV1.NetworkRecord.encode({ ...record, revision: 0n }).finish(),
  decode: (bytes, revision) => ({ ...networkV1.NetworkRecord.decode(bytes), revision }),
};

/** Nodes, key `node.<id>` of the durable bucket. */
export const NODES: Collection<nodeV1.NodeRecord> = {
  kind: 'node',
  encode: (record) => nodeV1.NodeRecord.encode({ ...record, revision: 0n }).finish(),
  decode: (bytes, revision) => ({ ...nodeV1.NodeRecord.decode(bytes), revision }),
};

/** Volumes, key `volume.<name>` of the durable bucket. */
export const VOLUMES: Collection<volumeV1.VolumeRecord> = {
  kind: 'volume',
  encode: (record) => volumeV1.VolumeRecord.encode({ ...record, revision: 0n }).finish(),
  decode: (bytes, revision) => ({ ...volumeV1.VolumeRecord.decode(bytes), revision }),
};

/** Files of volumes that a host is yet to remove, key `leftover.<node>/<name>` of the durable bucket. */
export const LEFTOVERS: Collection<volumeV1.VolumeLeftover> = {
  kind: 'leftover',
  encode: (leftover) => volumeV1.VolumeLeftover.encode(leftover).finish(),
  decode: (bytes) => volumeV1.VolumeLeftover.decode(bytes),
};

/**
 * What is seen of containers, key `container.<id>` of the observed bucket. On one node the agent's `seq` orders statuses; a
 * container that was placed anew has a higher generation than any status of its old node. `seq` 0 is the scheduler's own word
 * ("nothing is known yet") and always counts.
 */
export const CONTAINER_STATUSES: Collection<containerV1.ContainerStatus> = {
  kind: 'container',
  encode: (status) => containerV1.ContainerStatus.encode(status).finish(),
  decode: (bytes) => containerV1.ContainerStatus.decode(bytes),
  supersedes: (next, current) =>
    next.nodeId === current.nodeId ? next.seq >= current.seq || next.seq === 0n : next.generation >= current.generation,
};

/** What is seen of nodes, key `node.<id>` of the observed bucket; written in order by the leader only. */
export const NODE_STATUSES: Collection<nodeV1.NodeStatus> = {
  kind: 'node',
  encode: (status) => nodeV1.NodeStatus.encode(status).finish(),
  decode: (bytes) => nodeV1.NodeStatus.decode(bytes),
  supersedes: () => true,
};
