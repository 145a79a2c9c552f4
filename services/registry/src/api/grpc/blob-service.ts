import { hasReason, invalidArgument, outOfRange } from '@atoll/errors';
import { imageV1 } from '@atoll/proto';
import { parseDigest } from '@atoll/reference';
import type { AllowTable, CallContext, Handlers } from '@atoll/rpc';
import type { BlobStore } from '../../domain/blobs/blob-store.ts';
import { rechunk } from './rechunk.ts';

export const BLOB_ROLES: AllowTable<imageV1.BlobServiceService> = {
  readBlob: ['node', 'image-builder', 'gateway', 'operator'],
  writeBlob: ['node', 'image-builder', 'operator'],
  statBlob: ['node', 'image-builder', 'gateway', 'operator'],
};

/** Blobs by digest for agents and the builder. */
export function blobHandlers(blobs: BlobStore): Handlers<imageV1.BlobServiceService> {
  return {
    readBlob: (request) => read(blobs, request),
    writeBlob: (requests, context) => write(blobs, requests, context),
    statBlob: async ({ digest }) => {
      const info = await blobs.touch(parseDigest(digest));
      return imageV1.StatBlobResponse.fromPartial({ exists: info !== undefined, size: BigInt(info?.size ?? 0) });
    },
  };
}

async function* read(blobs: BlobStore, request: imageV1.ReadBlobRequest): AsyncGenerator<imageV1.ReadBlobResponse> {
  const digest = parseDigest(request.digest);
  const offset = Number(request.offset);
  const { size, stream } = await blobs.open(digest, { start: Math.max(0, offset), end: Number.MAX_SAFE_INTEGER });
  try {
    if (offset < 0 || offset > size) throw outOfRange(`the blob ${digest} has ${size} bytes, ${offset} is not in it`);
    let first = true;
    for await (const data of rechunk(stream)) {
      yield { size: BigInt(first ? size : 0), data };
      first = false;
    }
    if (first) yield { size: BigInt(size), data: Buffer.alloc(0) };
  } finally {
    stream.destroy();
  }
}

async function write(
  blobs: BlobStore,
  requests: AsyncIterable<imageV1.WriteBlobRequest>,
  { signal }: CallContext,
): Promise<imageV1.WriteBlobResponse> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw invalidArgument('a blob needs at least one message, an empty one for no bytes');
  const expected = first.value.digest === '' ? undefined : parseDigest(first.value.digest);
  async function* data(): AsyncGenerator<Uint8Array> {
    if (!first.done) yield first.value.data;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      signal.throwIfAborted();
      yield next.value.data;
    }
  }
  const upload = await blobs.begin('');
  try {
    await upload.append(data());
    signal.throwIfAborted();
    const { digest, size } = await upload.commit(expected);
    return imageV1.WriteBlobResponse.fromPartial({ digest, size: BigInt(size) });
  } catch (error) {
    await upload.abort();
    throw hasReason(error, 'internal') && signal.aborted ? signal.reason : error;
  }
}
