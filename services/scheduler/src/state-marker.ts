import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '@atoll/errors';
import { writeFileDurably } from '@atoll/identity';

const FILE = 'desired-state.json';

/** What the marker needs to know of the store. */
export interface MarkedStore {
  exists(): Promise<boolean>;
  create(): Promise<unknown>;
}

/**
 * Makes the bucket of desired state on a cluster's first start only. A note on disk remembers that it was made: a bucket that
 * is missing later was lost, and a new empty one would look like a cluster without containers.
 * Errors: failed-precondition when the bucket was lost.
 */
export async function ensureDesiredState(
  store: MarkedStore,
  dir: string | undefined,
  clusterId: string,
): Promise<void> {
  const marker = dir === undefined ? undefined : join(dir, FILE);
  if (!(await store.exists()) && marker !== undefined && (await fileExists(marker))) {
    throw failedPrecondition(
      `the cluster had desired state (${marker} says so) and NATS has none: restore its JetStream folder. To begin again with nothing, remove ${marker}`,
    );
  }
  await store.create();
  if (marker !== undefined && !(await fileExists(marker))) {
    await writeFileDurably(marker, `${JSON.stringify({ clusterId })}\n`, 0o600);
  }
}

async function fileExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
