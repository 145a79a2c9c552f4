import type { Mirror } from '@atoll/bus';
import { type containerV1, volumeV1 } from '@atoll/proto';

const K = volumeV1.VolumeOperationKind;
const DOING: Readonly<Partial<Record<volumeV1.VolumeOperationKind, string>>> = {
  [K.BACKUP]: 'being backed up while its users are stopped',
  [K.MOVE]: 'being moved to another host',
  [K.CREATE]: 'being made from a backup or another volume',
  [K.REPLACE]: 'being restored',
};

/** Named volumes of a spec; anonymous ones start empty wherever their container is. */
export function namedVolumes(spec: containerV1.ContainerSpec): string[] {
  return spec.mounts
    .filter((mount) => mount.type === 'volume' && !mount.anonymous && mount.source !== '')
    .map((mount) => mount.source);
}

/** On which host a named volume is: where containers use it, else where its record says it is. */
export class VolumeHosts {
  readonly records: Mirror<volumeV1.VolumeRecord>;
  readonly leftovers: Mirror<volumeV1.VolumeLeftover>;
  readonly #users = new Map<string, Map<string, number>>();

  constructor(records: Mirror<volumeV1.VolumeRecord>, leftovers: Mirror<volumeV1.VolumeLeftover>) {
    this.records = records;
    this.leftovers = leftovers;
  }

  add(volumes: readonly string[], nodeId: string): void {
    for (const volume of volumes) {
      const hosts = this.#users.get(volume) ?? new Map<string, number>();
      hosts.set(nodeId, (hosts.get(nodeId) ?? 0) + 1);
      this.#users.set(volume, hosts);
    }
  }

  remove(volumes: readonly string[], nodeId: string): void {
    for (const volume of volumes) {
      const hosts = this.#users.get(volume);
      const left = (hosts?.get(nodeId) ?? 0) - 1;
      if (left > 0) hosts?.set(nodeId, left);
      else hosts?.delete(nodeId);
      if (hosts?.size === 0) this.#users.delete(volume);
    }
  }

  /** Whether a container has the named volume, or is about to. */
  isUsed(volume: string): boolean {
    return this.#users.has(volume);
  }

  /** What is going on with it that nobody else may disturb, as a clause; undefined when nothing is. `own`: an operation that may. */
  busy(volume: string, own?: string): string | undefined {
    const operation = this.records.get(volume)?.operation;
    if (!operation || operation.id === own) return undefined;
    return `volume ${volume} is ${DOING[operation.kind] ?? 'in use'}`;
  }

  /** Has the host still to remove files of an earlier volume of this name? */
  hasLeftover(nodeId: string, volume: string): boolean {
    return this.leftovers.get(leftoverId(nodeId, volume)) !== undefined;
  }

  /** Undefined before its first use. */
  hostOf(volume: string): string | undefined {
    return this.#users.get(volume)?.keys().next().value ?? (this.records.get(volume)?.nodeId || undefined);
  }
}

/** Neither a node's id nor a volume's name has a slash. */
export function leftoverId(nodeId: string, volume: string): string {
  return `${nodeId}/${volume}`;
}
