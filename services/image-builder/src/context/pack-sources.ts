import { invalidArgument, resourceExhausted } from '@atoll/errors';
import { archiveFormat, decompress } from '../archive/compression.ts';
import type { TarEntry } from '../archive/tar-entry.ts';
import { BLOCK, encodeHeader, padding } from '../archive/tar-header.ts';
import { readTar } from '../archive/tar-reader.ts';
import { type ContextNode, isDirectory } from './context-node.ts';
import { type Source, sorted } from './select-sources.ts';
import type { Spool } from './spool.ts';

export interface PackOptions {
  /** Unpack archives among the sources (ADD). */
  readonly extract: boolean;
  /** Unix seconds; newer modification times become this one. 0 = as they are. */
  readonly sourceDateEpoch: number;
  /** Bytes an archive may unpack to. */
  readonly maxBytes: number;
}

const PIECE = 64 * 1024;
const CHUNK = 256 * 1024;

/** True when ADD unpacks this source. Reads its first block. Throws invalid-argument for a compression it cannot undo. */
export async function isArchive(source: Source, spool: Spool): Promise<boolean> {
  const { entry } = source.node;
  if (entry.type !== 'file' || entry.size < 18) return false;
  const format = archiveFormat(await spool.piece(source.node.offset, Math.min(entry.size, BLOCK)));
  if (format === 'none' || format === 'tar') return format === 'tar';
  if (format === 'bzip2' || format === 'xz') {
    throw invalidArgument(
      `${source.name} is compressed with ${format}, which is not supported: use gzip, zstd or no compression, or COPY it as it is`,
    );
  }
  return holdsTar(spool.read(source.node.offset, entry.size), format);
}

/** A compressed file that is no tar is copied as it is. */
async function holdsTar(bytes: AsyncIterable<Buffer>, format: 'gzip' | 'zstd'): Promise<boolean> {
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of decompress(bytes, format, 'the file')) {
      head = Buffer.concat([head, chunk.subarray(0, BLOCK)]);
      if (head.length >= BLOCK) break;
    }
  } catch {
    return false;
  }
  return archiveFormat(head.subarray(0, BLOCK)) === 'tar';
}

/**
 * What a COPY or ADD sends to the agent: one tar of the sources, named as they are to appear below the destination (a
 * directory's content, a file's base name), owner root except for what an archive brings, in chunks of about 256 KiB.
 */
export async function* packSources(
  sources: readonly Source[],
  spool: Spool,
  options: PackOptions,
): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of tarParts(sources, spool, options)) {
    parts.push(part);
    bytes += part.length;
    if (bytes < CHUNK) continue;
    yield Buffer.concat(parts);
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

async function* tarParts(sources: readonly Source[], spool: Spool, options: PackOptions): AsyncGenerator<Buffer> {
  for (const source of sources) {
    if (isDirectory(source.node)) yield* directoryParts(source.node, '', spool, options);
    else if (options.extract && (await isArchive(source, spool))) yield* archiveParts(source, spool, options);
    else yield* nodeParts(source.node, source.name, spool, options);
  }
  yield Buffer.alloc(2 * BLOCK);
}

async function* directoryParts(
  directory: ContextNode,
  prefix: string,
  spool: Spool,
  options: PackOptions,
): AsyncGenerator<Buffer> {
  for (const [name, node] of sorted(directory.children ?? new Map())) {
    const path = prefix + name;
    yield* nodeParts(node, path, spool, options);
    if (isDirectory(node)) yield* directoryParts(node, `${path}/`, spool, options);
  }
}

async function* nodeParts(node: ContextNode, name: string, spool: Spool, options: PackOptions): AsyncGenerator<Buffer> {
  const { entry } = node;
  yield encodeHeader(clamped({ ...entry, name, uid: 0, gid: 0 }, options.sourceDateEpoch));
  if (entry.size === 0) return;
  if (entry.size <= PIECE) yield await spool.piece(node.offset, entry.size);
  else yield* spool.read(node.offset, entry.size);
  yield Buffer.alloc(padding(entry.size));
}

async function* archiveParts(source: Source, spool: Spool, options: PackOptions): AsyncGenerator<Buffer> {
  const { offset, entry: file } = source.node;
  const format = archiveFormat(await spool.piece(offset, Math.min(file.size, BLOCK)));
  let bytes = 0;
  for await (const { entry, content } of readTar(decompress(spool.read(offset, file.size), format, source.name))) {
    bytes += entry.size;
    if (bytes > options.maxBytes) {
      throw resourceExhausted(`${source.name} unpacks to more than the ${options.maxBytes} bytes this builder accepts`);
    }
    yield encodeHeader(clamped(entry, options.sourceDateEpoch));
    if (entry.size === 0) continue;
    const body = content();
    if (Buffer.isBuffer(body)) yield body;
    else yield* body;
    yield Buffer.alloc(padding(entry.size));
  }
}

function clamped(entry: TarEntry, epoch: number): TarEntry {
  return epoch > 0 && entry.mtime > epoch ? { ...entry, mtime: epoch } : entry;
}
