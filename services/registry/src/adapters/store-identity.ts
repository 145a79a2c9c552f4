import { randomUUID } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Names } from '../domain/records/names.ts';
import { isMissing, syncFolder } from './blobs/blob-layout.ts';

/**
 * Whether these names belong to the blobs under `root`. A store writes its id into the names first and then beside its
 * blobs: names without the id of blobs that have one are not theirs, or were lost, and nothing may be deleted on their word.
 */
export async function identifyStore(root: string, names: Names): Promise<boolean> {
  const path = join(root, 'store-id');
  const own = await readId(path);
  if (own !== undefined) return (await names.storeId(undefined)) === own;
  const id = await names.storeId(randomUUID());
  await writeDurably(root, path, `${id}\n`);
  return true;
}

async function readId(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function writeDurably(root: string, path: string, text: string): Promise<void> {
  const file = await open(`${path}.tmp`, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.tmp`, path);
  await syncFolder(root);
}
