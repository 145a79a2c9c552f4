import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unlessMissing } from './missing.ts';

/** Bytes of all files below a folder; links are not followed. What vanishes meanwhile does not count. */
export async function treeSize(directory: string): Promise<bigint> {
  const entries = (await unlessMissing(readdir(directory, { withFileTypes: true }))) ?? [];
  let size = 0n;
  for (const entry of entries) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) size += await treeSize(path);
    else if (entry.isFile()) size += BigInt((await unlessMissing(lstat(path)))?.size ?? 0);
  }
  return size;
}
