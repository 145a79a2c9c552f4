import type { Mirror } from '@atoll/bus';
import type { containerV1, volumeV1 } from '@atoll/proto';

/** Named volumes of a spec; anonymous ones start empty wherever their container is. */
export function namedVolumes(spec: containerV1.ContainerSpec): string[] {
  return spec.mounts
    .filter((mount) => mount.type === 'volume' && !mount.anonymous && mount.source !== '')
    .map((mount) => mount.source);
}

/** On which host a named volume is: where containers use it, else where its record says it is. */
export class VolumeHosts {
  readonly records: Mirror<volumeV1.VolumeRecord>;
  readonly #users = new Map<string, Map<string, number>>();

  constructor(records: Mirror<volumeV1.VolumeRecord>) {
    this.records = records;
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

  /** Undefined before its first use. */
  hostOf(volume: string): string | undefined {
    return this.#users.get(volume)?.keys().next().value ?? (this.records.get(volume)?.nodeId || undefined);
  }
}
