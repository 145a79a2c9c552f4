import { createHash } from 'node:crypto';
import { resourceExhausted } from '@atoll/errors';
import { type Digest, sha256Digest } from '@atoll/reference';
import type { BlobReader } from '../blobs/blob-store.ts';
import { decompressed, detect } from './decompress.ts';

export interface InspectedLayer {
  readonly compression: 'none' | 'gzip' | 'zstd';
  readonly diffId: Digest;
  /** Bytes of the uncompressed tar. */
  readonly unpacked: number;
}

/** Works out the diff id of a stored layer. Errors: not-found, invalid-argument, resource-exhausted (unpacks to too much). */
export async function inspectLayer(blobs: BlobReader, digest: Digest, maxBytes: number): Promise<InspectedLayer> {
  const { stream, size } = await blobs.open(digest);
  try {
    const { compression, bytes } = await detect(stream);
    if (compression === 'none') return { compression, diffId: digest, unpacked: size };
    const hash = createHash('sha256');
    let unpacked = 0;
    for await (const chunk of decompressed(bytes, compression)) {
      unpacked += chunk.byteLength;
      if (unpacked > maxBytes) throw resourceExhausted(`the layer ${digest} unpacks to more than ${maxBytes} bytes`);
      hash.update(chunk);
    }
    return { compression, diffId: sha256Digest(hash.digest('hex')), unpacked };
  } finally {
    stream.destroy();
  }
}
