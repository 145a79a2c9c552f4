import type { Duplex } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { invalidArgument } from '@atoll/errors';
import { through } from './through.ts';

type Format = 'gzip' | 'zstd' | 'plain';

/** The format of a stream by its first four bytes (RFC 1952, RFC 8878). */
export function compressionOf(head: Uint8Array): Format {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd';
  return 'plain';
}

/**
 * The uncompressed bytes of a stream that may be gzip, zstd or plain (throws invalid-argument when it is damaged, or wants a window of
 * more than 128 MiB); decompressed here, outside of every container. The media
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
  const format = compressionOf(head);
  const decoder = decoderOf(format);
  if (!decoder) {
    yield* whole;
    return;
  }
  try {
    yield* through(whole, decoder);
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    // Codes of zlib and zstd; what the source throws has none of them.
    if (!/^Z(STD)?_/.test(String(code))) throw error;
    throw invalidArgument(`the ${format} stream is damaged or asks for too much: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function decoderOf(format: Format): Duplex | undefined {
  if (format === 'gzip') return createGunzip();
  return format === 'zstd' ? createZstdDecompress() : undefined;
}
