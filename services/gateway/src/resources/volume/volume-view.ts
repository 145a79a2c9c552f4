import { formatRfc3339Nano } from '@atoll/docker-api';
import { volumeV1 } from '@atoll/proto';
import type { ContainerLookup } from '../container/backend.ts';
import type { VolumeLookup } from './backend.ts';

/** A volume with those that have it. */
export interface KnownVolume {
  readonly record: volumeV1.VolumeRecord;
  /** Ids of containers, running or not. */
  readonly users: readonly string[];
}

/** All volumes of the cluster, by name: those with a record, and anonymous ones, which their containers tell of. */
export function knownVolumes(backend: Pick<ContainerLookup, 'list'> & VolumeLookup): ReadonlyMap<string, KnownVolume> {
  const known = new Map<string, { record: volumeV1.VolumeRecord; users: string[] }>();
  for (const record of backend.volumes()) known.set(record.name, { record, users: [] });
  // Oldest first: a volume is as old as the first container that has it.
  for (const { record: container, spec } of backend.list().toReversed()) {
    for (const mount of spec.mounts) {
      if (mount.type !== 'volume') continue;
      const volume = known.get(mount.source) ?? {
        record: volumeV1.VolumeRecord.fromPartial({
          name: mount.source,
          driver: 'local',
          labels: mount.volumeLabels,
          options: mount.volumeOptions,
          nodeId: container.nodeId,
          createdAtNs: container.createdAtNs,
          anonymous: mount.anonymous,
        }),
        users: [],
      };
      if (!volume.users.includes(container.id)) volume.users.push(container.id);
      known.set(mount.source, volume);
    }
  }
  return new Map([...known].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Labels as shown: with the host, and the mark of an anonymous volume. */
export function volumeLabels(backend: VolumeLookup, { record }: KnownVolume): Readonly<Record<string, string>> {
  const place = backend.volumePlace(record);
  return {
    ...record.labels,
    ...(record.anonymous ? { 'com.docker.volume.anonymous': '' } : {}),
    ...(place === undefined ? {} : { 'atoll.node': place.hostname }),
  };
}

/** A volume as the API shows it. */
export function volumeObject(backend: VolumeLookup, volume: KnownVolume): Record<string, unknown> {
  const { name, driver, options, createdAtNs } = volume.record;
  return {
    CreatedAt: formatRfc3339Nano(createdAtNs),
    Driver: driver,
    Labels: volumeLabels(backend, volume),
    Mountpoint: backend.volumePlace(volume.record)?.mountpoint ?? '',
    Name: name,
    Options: Object.keys(options).length === 0 ? null : options,
    Scope: 'local',
  };
}
