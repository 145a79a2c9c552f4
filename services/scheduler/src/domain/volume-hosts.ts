import type { containerV1 } from '@atoll/proto';

/** Named volumes of a spec; anonymous ones start empty wherever their container is. */
export function namedVolumes(spec: containerV1.ContainerSpec): string[] {
  return spec.mounts
    .filter((mount) => mount.type === 'volume' && !mount.anonymous && mount.source !== '')
    .map((mount) => mount.source);
}

/** On which host a named volume is: where containers use it. */
export class VolumeHosts {
  readonly #users = new Map<string, Map<string, number>>();

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

  /** Undefined when no container uses it. */
  hostOf(volume: string): string | undefined {
    return this.#users.get(volume)?.keys().next().value;
  }
}
