import { join } from 'node:path/posix';
import { deadlineExceeded, invalidArgument, notFound } from '@atoll/errors';
import { containerV1, type networkV1, type nodeV1, volumeV1 } from '@atoll/proto';
import type { Mirror } from '../mirrors/mirror.ts';
import type { ContainerLookup, VolumeHomes } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { NodeView } from '../resources/system/backend.ts';
import type { VolumeLookup, VolumePlace } from '../resources/volume/backend.ts';

export interface ClusterMirrors {
  readonly containers: Mirror<containerV1.ContainerRecord>;
  readonly containerStatuses: Mirror<containerV1.ContainerStatus>;
  readonly nodes: Mirror<nodeV1.NodeRecord>;
  readonly volumes: Mirror<volumeV1.VolumeRecord>;
  readonly networks: Mirror<networkV1.NetworkRecord>;
  readonly nodeStatuses: Mirror<nodeV1.NodeStatus>;
}

/** How long a change that is stored may take to be seen here. */
const SEEN_MS = 10_000;
const NO_SPEC = containerV1.ContainerSpec.fromPartial({});

/**
 * The cluster as this gateway knows it: what its mirrors heard and what its own calls were answered, whichever is newer. So a
 * client reads its own writes through the gateway it wrote through.
 */
export class ClusterState implements ContainerLookup, VolumeHomes, VolumeLookup {
  readonly #mirrors: ClusterMirrors;
  readonly #idsByName = new Map<string, string>();
  /** All visible containers, newest first; undefined since the last change. */
  #list: readonly ContainerView[] | undefined;

  constructor(mirrors: ClusterMirrors) {
    this.#mirrors = mirrors;
    for (const mirror of [mirrors.containers, mirrors.containerStatuses, mirrors.nodes]) {
      (mirror as Mirror<unknown>).onChange(() => {
        this.#list = undefined;
      });
    }
    for (const record of mirrors.containers.values()) this.#name(record.id, undefined, record);
    mirrors.containers.onChange(({ id, previous, value }) => this.#name(id, previous, value));
  }

  find(reference: string): ContainerView {
    const found = this.#exact(reference) ?? this.#byPrefix(reference);
    if (found === undefined) throw notFound(`No such container: ${reference}`);
    return found;
  }

  /** By full id; undefined when it is gone. */
  get(id: string): ContainerView | undefined {
    const record = this.#mirrors.containers.get(id);
    return record === undefined ? undefined : this.#visible(record);
  }

  /** Newest first. The same array and views until something changes. */
  list(): readonly ContainerView[] {
    this.#list ??= [...this.#mirrors.containers.values()]
      .map((record) => this.#visible(record))
      .filter((view) => view !== undefined)
      .sort((a, b) => (a.record.createdAtNs > b.record.createdAtNs ? -1 : 1));
    return this.#list;
  }

  /** Without those that are not whole yet. */
  volumes(): readonly volumeV1.VolumeRecord[] {
    return [...this.#mirrors.volumes.values()].filter(
      ({ operation }) => operation?.kind !== volumeV1.VolumeOperationKind.CREATE,
    );
  }

  volumeHome(name: string): string | undefined {
    const user = this.list().find(({ spec }) => spec.mounts.some((m) => m.type === 'volume' && m.source === name));
    return user?.record.nodeId ?? (this.#mirrors.volumes.get(name)?.nodeId || undefined);
  }

  volumePlace({ name, nodeId }: Pick<volumeV1.VolumeRecord, 'name' | 'nodeId'>): VolumePlace | undefined {
    const facts = this.#mirrors.nodes.get(nodeId)?.facts;
    if (facts === undefined) return undefined;
    return { hostname: facts.hostname, mountpoint: join(facts.dataRoot, 'volumes', name, '_data') };
  }

  applyVolume(record: volumeV1.VolumeRecord): void {
    this.#mirrors.volumes.apply(record.name, record, record.revision);
  }

  applyVolumeRemoval(name: string, revision: bigint): void {
    this.#mirrors.volumes.apply(name, undefined, revision);
  }

  nodeCount(): number {
    let count = 0;
    for (const _ of this.#mirrors.nodes.values()) count++;
    return count;
  }

  nodes(): readonly NodeView[] {
    return [...this.#mirrors.nodes.values()]
      .map((record) => ({ record, status: this.#mirrors.nodeStatuses.get(record.id) }))
      .sort((a, b) => nameOf(a).localeCompare(nameOf(b)));
  }

  applyRecord(record: containerV1.ContainerRecord | undefined): void {
    if (record !== undefined) this.#mirrors.containers.apply(record.id, record, record.revision);
  }

  applyStatus(status: containerV1.ContainerStatus | undefined): void {
    if (status !== undefined) this.#mirrors.containerStatuses.apply(status.id, status, 0n);
  }

  applyRemoval(id: string, revision: bigint): void {
    this.#mirrors.containers.apply(id, undefined, revision);
  }

  /** Resolves when lookups show a record as new as that, or that it is gone. @throws deadline-exceeded */
  shows(id: string, revision: bigint, signal: AbortSignal): Promise<void> {
    const isShown = (): boolean => (this.#mirrors.containers.get(id)?.revision ?? revision) >= revision;
    if (isShown()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown): void => {
        clearTimeout(late);
        stop();
        signal.removeEventListener('abort', onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      const onAbort = (): void => settle(signal.reason);
      const late = setTimeout(
        () => settle(deadlineExceeded(`the change of container ${id} is made, but not seen yet`)),
        SEEN_MS,
      );
      const stop = this.#mirrors.containers.onChange((change) => {
        if (change.id === id && isShown()) settle();
      });
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Tells of every change of a container's record or status, after it is visible. */
  onContainerChange(listener: (id: string) => void): () => void {
    const stops = [
      this.#mirrors.containers.onChange(({ id }) => listener(id)),
      this.#mirrors.containerStatuses.onChange(({ id }) => listener(id)),
    ];
    return () => {
      for (const stop of stops) stop();
    };
  }

  onNodeChange(listener: (node: nodeV1.NodeRecord) => void): () => void {
    return this.#mirrors.nodes.onChange(({ value }) => {
      if (value !== undefined) listener(value);
    });
  }

  #exact(reference: string): ContainerView | undefined {
    const name = reference.startsWith('/') ? reference.slice(1) : reference;
    return this.get(reference) ?? this.get(this.#idsByName.get(name) ?? '');
  }

  #byPrefix(prefix: string): ContainerView | undefined {
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return undefined;
    let found: ContainerView | undefined;
    for (const record of this.#mirrors.containers.values()) {
      if (!record.id.startsWith(prefix)) continue;
      const view = this.#visible(record);
      if (view === undefined) continue;
      if (found !== undefined) throw invalidArgument(`multiple IDs found with provided prefix: ${prefix}`);
      found = view;
    }
    return found;
  }

  /**
   * A container whose node has confirmed its end is gone, though its key may be deleted a moment later; so is one that was removed
   * while its host was down, though the host is yet to be told.
   */
  #visible(record: containerV1.ContainerRecord): ContainerView | undefined {
    if (record.desired === containerV1.DesiredState.REMOVED) return undefined;
    const status = this.#mirrors.containerStatuses.get(record.id);
    if (status?.state === containerV1.ContainerState.REMOVED && status.nodeId === record.nodeId) return undefined;
    return { record, spec: record.spec ?? NO_SPEC, status, node: this.#mirrors.nodes.get(record.nodeId) };
  }

  #name(
    id: string,
    previous: containerV1.ContainerRecord | undefined,
    value: containerV1.ContainerRecord | undefined,
  ): void {
    const before = previous?.spec?.name;
    const after = value?.desired === containerV1.DesiredState.REMOVED ? undefined : value?.spec?.name;
    if (before !== undefined && before !== after && this.#idsByName.get(before) === id) this.#idsByName.delete(before);
    if (after !== undefined) this.#idsByName.set(after, id);
  }
}

function nameOf({ record }: NodeView): string {
  return record.facts?.hostname ?? record.id;
}
