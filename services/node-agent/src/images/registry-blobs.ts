import { imageV1 } from '@atoll/proto';
import { type Digest, parseDigest } from '@atoll/reference';
import type { Channel } from '@atoll/rpc';
import type { BlobReader, BlobWriter, StoredBlob } from './blob-store.ts';

/** Pieces of a blob on the wire, as the contract bounds them. */
const PIECE = 256 * 1024;

/** The cluster's image store, over gRPC. */
export class RegistryBlobs implements BlobReader, BlobWriter {
  readonly #channel: () => Channel;

  constructor(channel: () => Channel) {
    this.#channel = channel;
  }

  async *read(digest: Digest, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const client = this.#channel().client(imageV1.BlobServiceService);
    const request = imageV1.ReadBlobRequest.fromPartial({ digest });
    for await (const { data } of client.readBlob(request, { signal })) {
      if (data.length > 0) yield data;
    }
  }

  async write(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StoredBlob> {
    const client = this.#channel().client(imageV1.BlobServiceService);
    const answer = await client.writeBlob(pieces(bytes), { signal });
    return { digest: parseDigest(answer.digest), size: Number(answer.size) };
  }
}

async function* pieces(bytes: AsyncIterable<Uint8Array>): AsyncIterable<imageV1.WriteBlobRequest> {
  let sent = false;
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += PIECE) {
      sent = true;
      yield { digest: '', data: Buffer.from(chunk.subarray(at, at + PIECE)) };
    }
  }
  if (!sent) yield { digest: '', data: Buffer.alloc(0) };
}
