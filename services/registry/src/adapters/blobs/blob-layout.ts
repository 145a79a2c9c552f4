import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceExhausted } from '@atoll/errors';
import { type Digest, digestHex } from '@atoll/reference';

/** Where a store keeps its files: `blobs/sha256/<2 digits>/<hex>` and `uploads/<session>.<owner>`. */
export class BlobLayout {
  readonly root: string;
  readonly uploads: string;
  readonly blobs: string;
  readonly #known = new Set<string>();

  constructor(root: string) {
    this.root = root;
    this.uploads = join(root, 'uploads');
    this.blobs = join(root, 'blobs', 'sha256');
  }

  folderOf(digest: Digest): string {
    return join(this.blobs, digestHex(digest).slice(0, 2));
  }

  /** The folder, made durably if it was not there. */
  async ensureFolder(digest: Digest): Promise<string> {
    const folder = this.folderOf(digest);
    if (this.#known.has(folder)) return folder;
    if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined) await syncFolder(this.blobs);
    this.#known.add(folder);
    return folder;
  }

  pathOf(digest: Digest): string {
    return join(this.folderOf(digest), digestHex(digest));
  }
}

/** Makes names that were created, renamed or removed in a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** A full disk in words; everything else as it is. */
export function explainDiskError(error: unknown, root: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return resourceExhausted(
    `the disk of the image store (${root}) is full; remove images (docker image prune -a) or give it more room`,
    { cause: error, details: { disk: 'full' } },
  );
}
