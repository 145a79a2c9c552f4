import type { Duplex } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { through } from './through.ts';

type Format = 'gzip' | 'zstd' | 'plain';

/** The format of a stream by its first four bytes (RFC 1952, RFC 8878). */
export function compressionOf(head: Uint8Array): Format {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd';
  return 'plain';
}

/**
 * The uncompressed bytes of a stream that may be gzip, zstd or plain; decompressed here, outside of every container. The media
 * type is not asked: registries hold layers whose type is wrong, and what counts is the digest of the result.
 */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  while (length < 4) {
    const next = await iterator.next();
    if (next.done) break;
    first.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(first);
  const whole = (async function* () {
    if (head.length > 0) yield head;
    for await (const chunk of { [Symbol.asyncIterator]: () => iterator }) yield chunk;
  })();
  const decoder = decoderOf(compressionOf(head));
  if (!decoder) {
    yield* whole;
    return;
  }
  yield* through(whole, decoder);
}

function decoderOf(format: Format): Duplex | undefined {
  if (format === 'gzip') return createGunzip();
  return format === 'zstd' ? createZstdDecompress() : undefined;
}
