import { pipeline } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { invalidArgument } from '@atoll/errors';
import { isHeaderBlock } from './tar-header.ts';

/** What the first bytes of a file say it is. */
export type ArchiveFormat = 'tar' | 'gzip' | 'zstd' | 'bzip2' | 'xz' | 'none';

const MAGIC: readonly (readonly [ArchiveFormat, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

/** @param head the first 512 bytes, or all when there are fewer */
export function archiveFormat(head: Buffer): ArchiveFormat {
  for (const [format, magic] of MAGIC) if (magic.every((byte, at) => head[at] === byte)) return format;
  return isHeaderBlock(head) ? 'tar' : 'none';
}

/** The bytes behind gzip or zstd; others pass. Throws invalid-argument on damaged data or an unsupported format. */
export async function* decompress(
  source: AsyncIterable<Buffer>,
  format: ArchiveFormat,
  what: string,
): AsyncGenerator<Buffer> {
  if (format === 'bzip2' || format === 'xz') {
    throw invalidArgument(
      `${what} is compressed with ${format}, which is not supported: use gzip, zstd or no compression`,
    );
  }
  if (format !== 'gzip' && format !== 'zstd') {
    yield* source;
    return;
  }
  const stream = format === 'gzip' ? createGunzip() : createZstdDecompress();
  let failure: unknown;
  const out = pipeline(source, stream, (error) => {
    failure = error ?? undefined;
  });
  try {
    yield* out as AsyncIterable<Buffer>;
  } catch (error) {
    if (isZlibError(error)) throw invalidArgument(`${what} is damaged: ${(error as Error).message}`, { cause: error });
    throw failure ?? error;
  }
}

function isZlibError(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' && (code.startsWith('Z_') || code.startsWith('ZSTD_'));
}
