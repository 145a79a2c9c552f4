import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterEach, describe, expect, test } from 'vitest';
import { EMPTY } from '../testing/directory-layer.ts';
import { tarOf } from '../testing/tar-of.ts';
import { archiveFormat, decompress } from './compression.ts';
import type { TarEntry } from './tar-entry.ts';
import { encodeHeader } from './tar-header.ts';
import { readTar } from './tar-reader.ts';

let directory = '';
afterEach(() => {
  if (directory !== '') rmSync(directory, { recursive: true });
  directory = '';
});

async function* chunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 1 << 16): Promise<{ entry: TarEntry; content: string; offset: number }[]> {
  const result = [];
  for await (const { entry, content, offset } of readTar(chunks(bytes, size))) {
    const body = content();
    const parts: Buffer[] = [];
    if (Buffer.isBuffer(body)) parts.push(body);
    else for await (const part of body) parts.push(part);
    result.push({ entry, content: Buffer.concat(parts).toString('utf8'), offset });
  }
  return result;
}

const LONG = `${'d'.repeat(60)}/${'e'.repeat(60)}/${'f'.repeat(200)}`;
const ENTRIES = {
  'a/': { mode: 0o750, uid: 7, gid: 8, mtime: 1_700_000_000 },
  'a/file': { content: 'hello', mode: 0o4755 },
  'a/empty': '',
  'ü/ö': 'umlauts',
  [LONG]: 'long name',
  link: { type: 'symlink' as const, linkname: `/target/${'x'.repeat(150)}` },
  hard: { type: 'hardlink' as const, linkname: 'a/file' },
  fifo: { type: 'fifo' as const },
  big: { content: 'y'.repeat(100_000), uid: 3_000_000, gid: 2_500_000_000, mtime: 1.5 },
  attributes: { content: 'z', xattrs: new Map([['user.a', '\u0001\u00ff']]) },
};

describe('what is written', () => {
  test.each([1, 13, 512, 1 << 16])('is read back from chunks of %i bytes', async (size) => {
    const found = await read(tarOf(ENTRIES), size);
    expect(found.map(({ entry }) => entry.name)).toEqual(Object.keys(ENTRIES).map((name) => name.replace(/\/$/, '')));
    expect(found[0]?.entry).toEqual({
      ...EMPTY,
      name: 'a',
      type: 'directory',
      mode: 0o750,
      uid: 7,
      gid: 8,
      mtime: 1_700_000_000,
    });
    expect(found[4]?.content).toBe('long name');
    expect(found[5]?.entry.linkname).toHaveLength(158);
    expect(found[8]?.entry).toMatchObject({ uid: 3_000_000, gid: 2_500_000_000, mtime: 1.5, size: 100_000 });
    expect(found[9]?.entry.xattrs.get('user.a')).toBe('\u0001\u00ff');
    const tar = tarOf(ENTRIES);
    expect(tar.toString('utf8', found[1]?.offset, (found[1]?.offset ?? 0) + 5)).toBe('hello');
  });

  test('is read by tar-stream the same way', async () => {
    const names: string[] = [];
    for await (const entry of Readable.from([tarOf(ENTRIES)]).pipe(extract())) {
      names.push(`${entry.header.name.replace(/\/$/, '')} ${entry.header.size} ${entry.header.linkname ?? ''}`.trim());
      entry.resume();
    }
    const ours = (await read(tarOf(ENTRIES))).map(({ entry }) =>
      `${entry.name} ${entry.size} ${entry.linkname}`.trim(),
    );
    expect(names).toEqual(ours);
  });

  test('is read by the system’s tar', () => {
    directory = mkdtempSync(join(tmpdir(), 'atoll-tar-test-'));
    writeFileSync(join(directory, 'x.tar'), tarOf(ENTRIES));
    const listed = execFileSync('tar', ['-tf', 'x.tar'], {
      cwd: directory,
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    expect(listed.toString().trim().split('\n')).toEqual(Object.keys(ENTRIES));
  });
});

describe('what the system’s tar writes', () => {
  test.each(['gnu', 'posix', 'ustar', 'v7'])('format %s', async (format) => {
    directory = mkdtempSync(join(tmpdir(), 'atoll-tar-test-'));
    const long = 'n'.repeat(format === 'gnu' || format === 'posix' ? 180 : 90);
    mkdirSync(join(directory, 'in/sub'), { recursive: true });
    writeFileSync(join(directory, 'in/sub', long), 'content');
    symlinkSync('sub', join(directory, 'in/link'));
    execFileSync('tar', ['-c', `--format=${format}`, '--sort=name', '-f', 'x.tar', 'in'], { cwd: directory });
    const found = await read(execFileSync('cat', [join(directory, 'x.tar')]));
    expect(found.map(({ entry, content }) => [entry.name, entry.type, content])).toEqual([
      ['in', 'directory', ''],
      ['in/link', 'symlink', ''],
      ['in/sub', 'directory', ''],
      [`in/sub/${long}`, 'file', 'content'],
    ]);
  });
});

describe('what is malformed is refused', () => {
  const good = tarOf({ a: 'hello' });
  const sized = (size: string): Buffer => {
    const block = Buffer.from(encodeHeader({ ...EMPTY, name: 'a' }));
    block.write(size, 124, 'latin1');
    return signed(block);
  };
  test.each<[string, Buffer, string]>([
    ['no tar at all', Buffer.alloc(1024, 'x'), 'wrong header checksum'],
    ['nothing', Buffer.alloc(0), 'empty'],
    ['an end inside a header', good.subarray(0, 100), 'ends too early'],
    ['an end inside content', good.subarray(0, 514), 'ends too early'],
    ['a flipped bit', flipped(good, 3), 'wrong header checksum'],
    ['a size that is no number', sized('zzzzzzzzzzz\0'), 'malformed number'],
    ['a size beyond all numbers', sized('\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff'), 'out of range'],
    ['a pax record without an end', pax('20 path=x'), 'malformed pax record'],
    ['a pax record with a wrong length', pax('7 path=x\n'), 'malformed pax record'],
    ['a negative pax size', pax('12 size=-10\n'), 'negative size'],
    ['a pax size that is no number', pax('11 size=1x\n'), 'malformed pax size'],
    ['a sparse file', pax('22 GNU.sparse.major=1\n'), 'sparse'],
    [
      'an enormous extension',
      signed(flagged(encodeHeader({ ...EMPTY, name: 'x', size: 1 << 24 }), 'x')),
      'extension header',
    ],
    ['an unknown type', signed(flagged(encodeHeader({ ...EMPTY, name: 'x' }), 'Q')), 'not supported'],
  ])('%s', async (_name, bytes, want) => {
    await expect(read(bytes)).rejects.toThrow(want);
  });
});

test('a pax size wins over the header’s, so no entry can hide in another’s content', async () => {
  const inner = tarOf({ hidden: 'x' }).subarray(0, 1024);
  const outer = encodeHeader({ ...EMPTY, name: 'outer', size: 0 });
  const tar = Buffer.concat([pax('13 size=1024\n', false), outer, inner, Buffer.alloc(1024)]);
  expect((await read(tar)).map(({ entry }) => [entry.name, entry.size])).toEqual([['outer', 1024]]);
});

describe('compression is told by the first bytes', () => {
  const tar = tarOf({ a: 'hello' });
  test.each([
    ['tar', tar],
    ['gzip', gzipSync(tar)],
    ['zstd', zstdCompressSync(tar)],
    ['bzip2', Buffer.from('BZh91AY')],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0])],
    ['none', Buffer.from('#!/bin/sh')],
  ])('%s', async (format, bytes) => {
    expect(archiveFormat(bytes.subarray(0, 512))).toBe(format);
    if (format === 'bzip2' || format === 'xz') {
      await expect(collect(decompress(chunks(bytes, 100), format, 'it'))).rejects.toThrow('not supported');
    } else if (format !== 'none') {
      expect(await collect(decompress(chunks(bytes, 7), format as 'gzip', 'it'))).toEqual(tar);
    }
  });

  test('a damaged stream is the caller’s fault', async () => {
    const bytes = gzipSync(Buffer.alloc(100_000, 'abc')).fill(0, 50);
    await expect(collect(decompress(chunks(bytes, 64), 'gzip', 'the context'))).rejects.toThrow(
      'the context is damaged',
    );
  });
});

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

function flagged(block: Buffer, flag: string): Buffer {
  const copy = Buffer.from(block);
  copy.write(flag, 156, 'latin1');
  return copy;
}

/** The checksum of a header that was changed by hand. */
function signed(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** A pax extension and, unless told otherwise, the entry it is about. */
function pax(records: string, entry = true): Buffer {
  const body = Buffer.alloc(512);
  body.write(records, 'latin1');
  const head = signed(flagged(encodeHeader({ ...EMPTY, name: 'pax', size: records.length }), 'x'));
  return Buffer.concat([head, body, ...(entry ? [encodeHeader({ ...EMPTY, name: 'a' }), Buffer.alloc(1024)] : [])]);
}
