import type { volumeV1 } from '@atoll/proto';

/** What users of a volume do while it is read. */
export const VOLUME_ACCESS = ['pause', 'stop', 'live'] as const;
export type VolumeAccess = (typeof VOLUME_ACCESS)[number];

/** The begin of an archive. */
export interface KnownArchive {
  /** As its manifest says it. */
  readonly created: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface RestoredVolume {
  readonly volume: volumeV1.VolumeRecord;
  /** What was unpacked; undefined for a restore that was done before. */
  readonly archive: { /** Hex. */ readonly sha256: string; readonly bytes: number } | undefined;
}

/** A restore that can be gone on with by another request when this one is cut. */
export interface RestoreSession {
  /** Chosen by the client: 32 hex digits. */
  readonly id: string;
  /** Bytes of the archive that the host has, and that are not sent; undefined for the request that begins it. */
  readonly offset: number | undefined;
}

/** Copies of whole volumes, which Docker's API has not. What is cancelled leaves volumes and their users as they were. */
export interface VolumeCopies {
  /**
   * An archive of the volume, as docs/volumes.md describes it. It ends with its digest only if it is whole.
   * @throws not-found; conflict; failed-precondition (host away, no files, driver options, used meanwhile)
   */
  backupVolume(
    name: string,
    options: {
      readonly access: VolumeAccess;
      readonly timeoutSeconds: number | undefined;
      /** What the client has of an archive made at that time: it is left out. @throws out-of-range when the volume has changed */
      readonly known: KnownArchive | undefined;
    },
    signal: AbortSignal,
  ): AsyncIterable<Buffer>;
  /**
   * @throws already-exists, conflict, invalid-argument (archive), failed-precondition (no host), resource-exhausted; of one that is
   * gone on with not-found, and out-of-range when its host has other bytes
   */
  restoreVolume(
    name: string,
    options: { readonly host: string; readonly force: boolean; readonly session: RestoreSession | undefined },
    archive: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<RestoredVolume>;
  /**
   * Bytes that the host of a restore has, which then takes no more from an earlier request; undefined when the restore is done.
   * @throws not-found
   */
  suspendRestore(name: string, id: string, signal: AbortSignal): Promise<number | undefined>;
  /** Gives a restore up; the name is free afterwards. @throws not-found; conflict when it is done */
  discardRestore(name: string, id: string, signal: AbortSignal): Promise<void>;
  cloneVolume(
    name: string,
    options: { readonly newName: string; readonly live: boolean; readonly labels: Record<string, string> },
    signal: AbortSignal,
  ): AsyncIterable<volumeV1.VolumeProgress>;
  /** `others`: volumes that move with it in one step; with `recreate` all that its containers have do. */
  moveVolume(
    name: string,
    options: {
      readonly host: string;
      readonly recreate: boolean;
      readonly timeoutSeconds: number | undefined;
      readonly others: string[];
    },
    signal: AbortSignal,
  ): AsyncIterable<volumeV1.VolumeProgress>;
}
