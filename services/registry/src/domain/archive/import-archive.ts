import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { applyChanges } from '@atoll/dockerfile';
import { invalidArgument, resourceExhausted } from '@atoll/errors';
import { layerMediaType, type Platform } from '@atoll/oci';
import { type Digest, familiarString, type ImageReference, sha256Digest } from '@atoll/reference';
import { extract } from 'tar-stream';
import type { BlobStore } from '../blobs/blob-store.ts';
import { createImage } from '../images/create-image.ts';
import type { ImageEvents } from '../images/image-events.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { ImageView } from '../images/image-view.ts';
import { decompressed, detect } from './decompress.ts';

export interface ImportOptions {
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly events: ImageEvents;
  readonly maxUnpackedBytes: number;
}

export interface ImportRequest {
  readonly name: ImageReference | undefined;
  /** Dockerfile lines. */
  readonly changes: readonly string[];
  readonly message: string;
  readonly platform: Platform;
}

/**
 * `docker import`: one layer out of a root file system, plain, gzip or zstd, stored as it came.
 * Errors: invalid-argument (no tar, bad change), resource-exhausted.
 */
export async function importArchive(
  source: AsyncIterable<Uint8Array>,
  request: ImportRequest,
  options: ImportOptions,
): Promise<ImageView> {
  const run = applyChanges({}, request.changes);
  const { compression, bytes } = await detect(source);
  const upload = await options.blobs.begin('');
  let diffId: Digest;
  try {
    const [outward, inward] = split(bytes);
    const [stored, inspected] = await Promise.allSettled([
      upload.append(outward),
      inspectTar(decompressed(inward, compression), options.maxUnpackedBytes),
    ]);
    // A reader that gives up fails the writer too: its reason is the one that says something.
    if (inspected.status === 'rejected') throw inspected.reason;
    if (stored.status === 'rejected') throw stored.reason;
    diffId = inspected.value;
  } catch (error) {
    await upload.abort();
    throw error;
  }
  const { digest } = await upload.commit();
  const created = new Date().toISOString();
  const config = {
    architecture: request.platform.architecture,
    variant: request.platform.variant,
    os: request.platform.os,
    created,
    config: run,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, comment: request.message || 'Imported from -' }],
  };
  const image = await createImage(options.images, options.blobs, {
    config: Buffer.from(JSON.stringify(config)),
    layers: [{ digest, diffId, mediaType: layerMediaType(compression) }],
    parent: undefined,
  });
  if (request.name !== undefined) await options.images.tag(image, request.name);
  const name = request.name === undefined ? image.id : familiarString(request.name);
  options.events.publish({ action: 'import', actor: image.id, attributes: { name } });
  return image;
}

/** One source for two readers in step; the first pulls, the second gets the same chunks before the next one is asked for. */
function split(source: AsyncIterable<Uint8Array>): [AsyncIterable<Uint8Array>, AsyncIterable<Uint8Array>] {
  const inward = new TransformStream<Uint8Array, Uint8Array>();
  async function* outward(): AsyncGenerator<Uint8Array> {
    const writer = inward.writable.getWriter();
    try {
      for await (const chunk of source) {
        await writer.write(chunk);
        yield chunk;
      }
      await writer.close();
    } catch (error) {
      await writer.abort(error).catch(() => undefined);
      throw error;
    }
  }
  return [outward(), inward.readable];
}

/** Reads a tar to its end: it has to be one. Answers the digest of all its bytes. */
async function inspectTar(bytes: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Digest> {
  const hash = createHash('sha256');
  let size = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      size += chunk.byteLength;
      if (size > maxBytes) throw resourceExhausted(`the archive unpacks to more than ${maxBytes} bytes`);
      hash.update(chunk);
      yield chunk;
    }
  }
  const parser = extract();
  const input = Readable.from(counted(), { objectMode: false });
  input.on('error', (error) => parser.destroy(error));
  try {
    for await (const entry of input.pipe(parser)) entry.resume();
  } catch (error) {
    if (error instanceof Error && /tar header|Unexpected end of data/i.test(error.message)) {
      throw invalidArgument(`the import is no tar archive: ${error.message}`, { cause: error });
    }
    throw error;
  } finally {
    input.destroy();
  }
  if (size === 0) throw invalidArgument('the import is empty; send a root file system as tar');
  return sha256Digest(hash.digest('hex'));
}
