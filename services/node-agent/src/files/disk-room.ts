import { statfs } from 'node:fs/promises';
import { resourceExhausted } from '@atoll/errors';
import type { UnpackLimits } from '../runtime/shim-tools.ts';

/** What is left for containers that run. */
const RESERVE = 0.05;

/**
 * What an archive may still fill of a folder's disk, in bytes and in files; those of a file system that does not count files are not
 * limited. Throws resource-exhausted when it is full.
 */
export async function diskRoom(folder: string): Promise<UnpackLimits> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(folder);
  const maxBytes = Math.floor((bavail - blocks * RESERVE) * bsize);
  const maxEntries = files === 0 ? undefined : Math.floor(ffree - files * RESERVE);
  if (maxBytes <= 0 || (maxEntries !== undefined && maxEntries <= 0)) {
    throw resourceExhausted(
      `the disk of ${folder} is full up to the last ${RESERVE * 100} %: remove images or containers`,
    );
  }
  return { maxBytes, maxEntries };
}
