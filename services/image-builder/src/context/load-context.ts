import { createHash, hash } from 'node:crypto';
import { invalidArgument } from '@atoll/errors';
import { archiveFormat, decompress } from '../archive/compression.ts';
import { readTar } from '../archive/tar-reader.ts';
import { ContextTree } from './context-tree.ts';
import type { MemoryBudget } from './memory-budget.ts';
import { Spool } from './spool.ts';

export interface ContextLimits {
  /** Folder of the spool file. */
  readonly directory: string;
  /** Bytes of the context, decompressed. */
  readonly maxBytes: number;
  readonly maxEntries: number;
  /** Shared by all builds of the process. */
  readonly memory: MemoryBudget;
}

/** A build context: its tree, and its bytes on disk as one uncompressed tar. */
export interface BuildContext extends AsyncDisposable {
  readonly tree: ContextTree;
  readonly spool: Spool;
}

/** Takes a context as the client sends it, plain or compressed, in one pass: spooled, indexed and digested as it arrives. */
export async function loadContext(source: AsyncIterable<Buffer>, limits: ContextLimits): Promise<BuildContext> {
  const spool = await Spool.create(limits.directory, limits.maxBytes, 'the build context');
  const tree = new ContextTree(limits.maxEntries, limits.memory);
  const dispose = async (): Promise<void> => {
    tree.release();
    await spool[Symbol.asyncDispose]();
  };
  try {
    for await (const { entry, offset, content } of readTar(tee(plain(source), spool))) {
      tree.add(entry, offset, entry.size === 0 ? '' : await digest(content()));
    }
    await spool.flush();
    return { tree, spool, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function* tee(source: AsyncIterable<Buffer>, spool: Spool): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    await spool.append(chunk);
    yield chunk;
  }
}

/** Looks at the first block to see how the context is compressed. */
async function* plain(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Buffer[] = [];
  let bytes = 0;
  let ended = false;
  while (bytes < 512 && !ended) {
    const { value, done } = await iterator.next();
    if (done) ended = true;
    else {
      head.push(value);
      bytes += value.length;
    }
  }
  const first = Buffer.concat(head);
  if (first.length === 0) throw invalidArgument('the build context is empty');
  const whole = async function* (): AsyncGenerator<Buffer> {
    yield first;
    if (ended) return;
    for (;;) {
      const { value, done } = await iterator.next();
      if (done) return;
      yield value;
    }
  };
  yield* decompress(whole(), archiveFormat(first), 'the build context');
}

async function digest(content: Buffer | AsyncIterable<Buffer>): Promise<string> {
  if (Buffer.isBuffer(content)) return hash('sha256', content);
  const sum = createHash('sha256');
  for await (const chunk of content) sum.update(chunk);
  return sum.digest('hex');
}
