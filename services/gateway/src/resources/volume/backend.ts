import type { volumeV1 } from '@atoll/proto';
import type { ContainerLookup, PruneNews } from '../container/backend.ts';

export interface VolumeLookup {
  /** Volumes with a record: all that were created, used by name or left behind. */
  volumes(): readonly volumeV1.VolumeRecord[];
  /** Where a volume's files are; undefined before its first use. */
  volumePlace(record: Pick<volumeV1.VolumeRecord, 'name' | 'nodeId'>): VolumePlace | undefined;
}

export interface VolumePlace {
  readonly hostname: string;
  readonly mountpoint: string;
}

/** Changes. Each resolves when a following lookup shows it. */
export interface VolumeLifecycle {
  /** The volume there is when the name is in use. @throws conflict when that one has other options */
  createVolume(asked: volumeV1.VolumeRecord, signal: AbortSignal): Promise<volumeV1.VolumeRecord>;
  /** @throws not-found; conflict while containers have it; unavailable when its host is down */
  removeVolume(name: string, force: boolean, signal: AbortSignal): Promise<void>;
}

export interface VolumeQuestions {
  /** Bytes on disk by name; hosts that do not answer are left out. */
  volumeSizes(signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
}

export type VolumeBackend = Pick<ContainerLookup, 'list'> &
  VolumeLookup &
  VolumeLifecycle &
  VolumeQuestions &
  PruneNews;
