import { Readable, type Transform } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { invalidArgument } from '@atoll/errors';
import { type Compression, detectCompression } from '@atoll/oci';

const HEAD_BYTES = 6;

export interface Detected {
  readonly compression: Compression;
  /** The same bytes, none of them taken away. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** Looks at the first bytes. Errors: invalid-argument for a compression we do not have, the source's own. */
export async function detect(source: AsyncIterable<Uint8Array>): Promise<Detected> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < HEAD_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    head.push(next.value);
    length += next.value.byteLength;
  }
  const compression = detectCompression(Buffer.concat(head).subarray(0, HEAD_BYTES));
  if (compression === 'bzip2' || compression === 'xz') {
    throw invalidArgument(`${compression} archives are not supported; decompress it or use gzip or zstd`);
  }
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      yield* head;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  }
  return { compression, bytes: bytes() };
}

/** A stream that undoes a compression, undefined for none. */
export function decompressor(compression: Compression): Transform | undefined {
  if (compression === 'gzip') return createGunzip();
  return compression === 'zstd' ? createZstdDecompress() : undefined;
}

/** The uncompressed bytes. Errors: invalid-argument for damaged data. */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  const transform = decompressor(compression);
  if (transform === undefined) {
    yield* source;
    return;
  }
  const input = Readable.from(source, { objectMode: false });
  let inputError: unknown;
  input.on('error', (error) => {
    inputError = error;
    transform.destroy(error);
  });
  try {
    for await (const chunk of input.pipe(transform)) yield chunk as Buffer;
  } catch (error) {
    if (inputError !== undefined) throw inputError;
    throw invalidArgument(`the ${compression} data is damaged: ${(error as Error).message}`, { cause: error });
  } finally {
    input.destroy();
    transform.destroy();
  }
}
