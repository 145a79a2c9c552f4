import { invalidArgument } from '@atoll/errors';
import { ByteReader } from './byte-reader.ts';
import { applyPax, parsePax } from './pax.ts';
import type { TarEntry } from './tar-entry.ts';
import { BLOCK, decodeHeader, isZeroBlock, padding } from './tar-header.ts';

/** Bytes of one pax or GNU extension that are read. */
const EXTENSION_LIMIT = 1 << 20;

export interface ReadEntry {
  readonly entry: TarEntry;
  /** Where the content starts in the archive. */
  readonly offset: number;
  /** The content, in one piece when the current chunk holds it, else as it comes. What is not read is skipped. */
  readonly content: () => Buffer | AsyncGenerator<Buffer>;
}

/**
 * Reads a tar as a stream: ustar, GNU long names and base-256 numbers, pax. One canonical reading: an extension's size wins over
 * the header's, sparse files are refused. Two zero blocks or the end of the stream end it; what follows is read and dropped.
 * Throws invalid-argument on anything malformed.
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<ReadEntry> {
  const reader = new ByteReader(source);
  let global: ReadonlyMap<string, string> = new Map();
  let local: ReadonlyMap<string, string> = new Map();
  try {
    for (;;) {
      const block = reader.now(BLOCK) ?? (await reader.exactly(BLOCK));
      if (!block) {
        if (reader.offset === 0) throw invalidArgument('the tar archive is empty');
        return;
      }
      if (isZeroBlock(block)) {
        while (await reader.some(1 << 20));
        return;
      }
      const header = decodeHeader(block);
      if (header.kind === 'extension') {
        if (header.size > EXTENSION_LIMIT) throw invalidArgument(`tar extension header of ${header.size} bytes`);
        const body = await need(reader, header.size);
        await need(reader, padding(header.size));
        if (header.type === 'pax-global') global = new Map([...global, ...parsePax(body)]);
        else if (header.type === 'pax') local = new Map([...local, ...parsePax(body)]);
        else {
          const end = body.indexOf(0);
          const value = body.toString('latin1', 0, end < 0 ? body.length : end);
          local = new Map([...local, [header.type === 'gnu-name' ? 'path' : 'linkpath', value]]);
        }
        continue;
      }
      const entry = finish(global.size + local.size === 0 ? header.entry : applyPax(header.entry, global, local));
      local = new Map();
      const body = new Content(reader, entry.size);
      yield { entry, offset: reader.offset, content: () => body.read() };
      await body.skip();
      if (entry.size > 0) await need(reader, padding(entry.size));
    }
  } finally {
    await reader.close();
  }
}

/** Only files carry content, whatever the header's size says; names lose the slash of directories. */
function finish(entry: TarEntry): TarEntry {
  const name = entry.name.replace(/\/+$/, '');
  if (name.includes('\0') || entry.linkname.includes('\0')) throw invalidArgument('tar entry name with a NUL byte');
  if (entry.size < 0) throw invalidArgument(`tar entry ${name}: negative size`);
  // A hard link may carry a size (pax allows content there); no writer in use sends any, so the content is taken as absent.
  const size = entry.type === 'file' ? entry.size : 0;
  return name === entry.name && size === entry.size ? entry : { ...entry, name, size };
}

async function need(reader: ByteReader, size: number): Promise<Buffer> {
  if (size === 0) return Buffer.alloc(0);
  const bytes = reader.now(size) ?? (await reader.exactly(size));
  if (!bytes) throw invalidArgument('the tar archive ends too early');
  return bytes;
}

class Content {
  readonly #reader: ByteReader;
  #left: number;

  constructor(reader: ByteReader, size: number) {
    this.#reader = reader;
    this.#left = size;
  }

  read(): Buffer | AsyncGenerator<Buffer> {
    const whole = this.#reader.now(this.#left);
    if (!whole) return this.#pieces();
    this.#left = 0;
    return whole;
  }

  async skip(): Promise<void> {
    if (this.#left === 0) return;
    for await (const _ of this.#pieces());
  }

  async *#pieces(): AsyncGenerator<Buffer> {
    while (this.#left > 0) {
      const part = await this.#reader.some(this.#left);
      if (!part) throw invalidArgument('the tar archive ends too early');
      this.#left -= part.length;
      yield part;
    }
  }
}
