import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, invalidArgument, unavailable } from '@atoll/errors';
import type { Descriptor } from '@atoll/oci';
import { type Digest, shortDigest } from '@atoll/reference';
import type { BlobStore, Upload } from '../blobs/blob-store.ts';
import type { Report } from '../progress.ts';
import type { RemoteSource } from './remote-repository.ts';

/** Docker's own number (max-concurrent-downloads). */
const CONCURRENT = 3;
const TRIES = 5;
const PROGRESS_MS = 100;

/** Fetches the layers the store does not have, some at a time, and reports them in docker's words, base first. */
export async function fetchLayers(
  source: RemoteSource,
  blobs: BlobStore,
  layers: readonly Descriptor[],
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const unique = new Map(layers.map((layer) => [layer.digest, layer]));
  for (const digest of unique.keys()) await report({ status: 'Pulling fs layer', id: shortDigest(digest) });
  const queue = [...unique.values()];
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const done = new Map<Digest, 'Already exists' | 'Pull complete'>();
  const worker = async (): Promise<void> => {
    for (let layer = queue.shift(); layer !== undefined; layer = queue.shift()) {
      stop.throwIfAborted();
      done.set(layer.digest, await fetchLayer(source, blobs, layer, report));
    }
  };
  const workers = Array.from({ length: CONCURRENT }, () =>
    worker().catch((error) => {
      failed.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(workers);
  if (failed.signal.aborted) throw failed.signal.reason;
  for (const [digest, status] of done)
    if (status === 'Pull complete') await report({ status, id: shortDigest(digest) });
}

async function fetchLayer(
  source: RemoteSource,
  blobs: BlobStore,
  layer: Descriptor,
  report: Report,
): Promise<'Already exists' | 'Pull complete'> {
  const id = shortDigest(layer.digest);
  if ((await blobs.touch(layer.digest))?.size === layer.size) {
    await report({ status: 'Already exists', id });
    return 'Already exists';
  }
  let told = 0;
  await fetchBlob(source, blobs, layer, async (current) => {
    if (performance.now() - told < PROGRESS_MS) return;
    told = performance.now();
    await report({ status: 'Downloading', id, current, total: layer.size });
  });
  await report({ status: 'Verifying Checksum', id });
  await report({ status: 'Download complete', id });
  return 'Pull complete';
}

/** Fetches one blob; a broken transfer goes on where it stopped. Errors: invalid-argument (wrong bytes), the source's. */
export async function fetchBlob(
  source: RemoteSource,
  blobs: BlobStore,
  blob: Descriptor,
  onProgress: (bytes: number) => Promise<void>,
): Promise<void> {
  let upload: Upload = await blobs.begin('');
  try {
    for (let tries = 1; ; tries += 1) {
      try {
        const { offset, bytes } = await source.blob(blob.digest, upload.size);
        if (offset !== upload.size) {
          await upload.abort();
          upload = await blobs.begin('');
        }
        await upload.append(bounded(bytes, blob, upload.size, onProgress));
        if (upload.size < blob.size)
          throw unavailable(`the transfer of ${blob.digest} ended after ${upload.size} bytes`);
        break;
      } catch (error) {
        if (tries >= TRIES || !hasReason(error, 'unavailable', 'deadline-exceeded')) throw error;
        await sleep(100 * 2 ** tries);
      }
    }
    await commit(upload, blob.digest);
  } catch (error) {
    await upload.abort();
    throw error;
  }
}

async function commit(upload: Upload, digest: Digest): Promise<void> {
  try {
    await upload.commit(digest);
  } catch (error) {
    if (!hasReason(error, 'invalid-argument')) throw error;
    throw invalidArgument(`filesystem layer verification failed for digest ${digest}`, { cause: error });
  }
}

async function* bounded(
  bytes: AsyncIterable<Uint8Array>,
  blob: Descriptor,
  from: number,
  onProgress: (bytes: number) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let size = from;
  for await (const chunk of bytes) {
    size += chunk.byteLength;
    if (size > blob.size)
      throw invalidArgument(`the blob ${blob.digest} has more than the ${blob.size} bytes its manifest says`);
    yield chunk;
    await onProgress(size);
  }
}
