import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTar } from '../archive/tar-reader.ts';
import { type Described, tarOf } from '../testing/tar-of.ts';
import { DockerIgnore } from './docker-ignore.ts';
import { type BuildContext, loadContext } from './load-context.ts';
import { MemoryBudget } from './memory-budget.ts';
import { packSources } from './pack-sources.ts';
import { selectSources } from './select-sources.ts';

const memory = new MemoryBudget(1 << 20);
let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'atoll-context-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

async function* pieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function load(entries: Readonly<Record<string, Described>>, limits = {}): Promise<BuildContext> {
  return loadContext(pieces(tarOf(entries)), { directory, maxBytes: 1 << 20, maxEntries: 100, memory, ...limits });
}

async function packed(
  entries: Readonly<Record<string, Described>>,
  sources: string[],
  options: { extract?: boolean; sourceDateEpoch?: number; maxBytes?: number } = {},
): Promise<Record<string, string>> {
  await using context = await load(entries);
  const { sources: chosen } = selectSources(context.tree, sources);
  const tar = packSources(chosen, context.spool, { extract: false, sourceDateEpoch: 0, maxBytes: 1 << 20, ...options });
  const result: Record<string, string> = {};
  for await (const { entry, content } of readTar(tar)) {
    const body = content();
    let text = '';
    if (Buffer.isBuffer(body)) text = body.toString('latin1');
    else for await (const part of body) text += part.toString('latin1');
    result[entry.name] = `${entry.type} ${entry.mode.toString(8)} ${entry.uid} ${entry.mtime} ${entry.linkname}${text}`;
  }
  return result;
}

async function digest(entries: Readonly<Record<string, Described>>, ...sources: string[]): Promise<string> {
  await using context = await load(entries);
  return selectSources(context.tree, sources).digest;
}

describe('loading', () => {
  const tar = tarOf({ 'a/': '', 'a/b': 'content' });
  test.each([
    ['plain', tar],
    ['gzip', gzipSync(tar)],
    ['zstd', zstdCompressSync(tar)],
    ['cut into single bytes', tar],
  ])('%s', async (name, bytes) => {
    const limits = { directory, maxBytes: 1 << 20, maxEntries: 10, memory };
    await using context = await loadContext(pieces(bytes, name.startsWith('cut') ? 1 : 1000), limits);
    const node = context.tree.find('a/b');
    expect(node?.entry.size).toBe(7);
    expect((await context.spool.piece(node?.offset ?? 0, 7)).toString()).toBe('content');
  });

  test('leaves no name on disk while it lasts', async () => {
    await using context = await load({ a: 'x' });
    expect(context.tree.entries).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  test.each<[string, Readonly<Record<string, Described>>, object, string]>([
    ['too many bytes', { a: 'x'.repeat(5000) }, { maxBytes: 3000 }, 'larger than the 3000 bytes'],
    ['too many entries', { a: '', b: '', c: '' }, { maxEntries: 2 }, 'more than 2 entries'],
    ['a name that points out', { '../a': 'x' }, {}, 'points out of it'],
    ['a name that points out later', { 'a/../../b': 'x' }, {}, 'points out of it'],
    ['a file below a link', { l: { type: 'symlink', linkname: '/etc' }, 'l/passwd': 'x' }, {}, 'which is no directory'],
    ['a hard link to nothing', { l: { type: 'hardlink', linkname: '/etc/passwd' } }, {}, 'which is not in it'],
    ['a hard link out', { l: { type: 'hardlink', linkname: '../../etc/passwd' } }, {}, 'points out of it'],
    ['a long name', { ['x/'.repeat(3000)]: '' }, {}, 'longer than 4096 bytes'],
  ])('refuses %s', async (_name, entries, limits, want) => {
    await expect(load(entries, limits)).rejects.toThrow(want);
  });

  test('refuses what is no tar, and nothing', async () => {
    const limits = { directory, maxBytes: 1 << 20, maxEntries: 10, memory };
    await expect(loadContext(pieces(Buffer.alloc(2000, 'x')), limits)).rejects.toThrow('not a tar archive');
    await expect(loadContext(pieces(Buffer.alloc(0)), limits)).rejects.toThrow('the build context is empty');
  });

  test('keeps no more names in memory than there is room for, and gives the room back', async () => {
    const tight = new MemoryBudget(3000);
    const long = { ['n'.repeat(900)]: '' };
    {
      await using context = await load(long, { memory: tight });
      expect(context.tree.entries).toBe(1);
      await expect(load(long, { memory: tight })).rejects.toThrow('indexed in memory');
    }
    await using again = await load(long, { memory: tight });
    expect(again.tree.entries).toBe(1);
  });

  test('counts a compressed context by what it unpacks to', async () => {
    const bomb = gzipSync(tarOf({ a: Buffer.alloc(4 << 20) }));
    const limits = { directory, maxBytes: 1 << 20, maxEntries: 10, memory };
    await expect(loadContext(pieces(bomb), limits)).rejects.toThrow('larger than');
  });
});

describe('the tree', () => {
  test('takes the last entry of a name and keeps what is in a directory named twice', async () => {
    await using context = await load({
      a: 'one',
      'd/': { mode: 0o700 },
      'd/x': '1',
      a2: '',
      'd//': { mode: 0o755 },
      './a': 'three',
    });
    expect(context.tree.find('a')?.entry.size).toBe(5);
    expect(context.tree.find('d/x')).toBeDefined();
    expect(context.tree.find('d')?.entry.mode).toBe(0o755);
  });

  test('follows symbolic links inside itself only', async () => {
    await using context = await load({
      'd/f': 'x',
      rel: { type: 'symlink', linkname: 'd' },
      abs: { type: 'symlink', linkname: '/d/f' },
      out: { type: 'symlink', linkname: '../../../d/f' },
      'd/up': { type: 'symlink', linkname: '../rel/f' },
      loop: { type: 'symlink', linkname: 'loop' },
      etc: { type: 'symlink', linkname: '/etc/passwd' },
    });
    const file = context.tree.find('d/f');
    for (const path of ['rel/f', 'abs', 'out', 'd/up', './rel/../d/f', '/d/f', '../d/f']) {
      expect(context.tree.find(path), path).toBe(file);
    }
    expect(context.tree.find('loop')).toBeUndefined();
    expect(context.tree.find('etc')).toBeUndefined();
  });

  test('loses what .dockerignore excludes, but no folder that holds something kept', async () => {
    await using context = await load({ 'a/b/keep': '', 'a/b/drop': '', 'a/gone/x': '', top: '' });
    DockerIgnore.parse('a\n!a/b/keep').apply(context.tree.root);
    expect(['a/b/keep', 'a/b/drop', 'a/gone', 'top'].map((path) => context.tree.find(path) !== undefined)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});

describe('what a copy is known by', () => {
  const base = { 'd/': '', 'd/f': { content: 'x', mode: 0o644, mtime: 1 } };
  test.each<[string, Readonly<Record<string, Described>>, boolean]>([
    ['another time', { 'd/': '', 'd/f': { content: 'x', mode: 0o644, mtime: 99 } }, true],
    ['another order', { 'd/f': { content: 'x', mode: 0o644, mtime: 1 }, 'd/': '' }, true],
    ['other content', { 'd/': '', 'd/f': { content: 'y', mode: 0o644, mtime: 1 } }, false],
    ['another mode', { 'd/': '', 'd/f': { content: 'x', mode: 0o755, mtime: 1 } }, false],
    ['another owner', { 'd/': '', 'd/f': { content: 'x', mode: 0o644, uid: 5 } }, false],
    ['another name', { 'd/': '', 'd/g': { content: 'x', mode: 0o644 } }, false],
    [
      'an attribute more',
      { 'd/': '', 'd/f': { content: 'x', mode: 0o644, xattrs: new Map([['user.a', 'b']]) } },
      false,
    ],
    ['a file more', { 'd/': '', 'd/f': { content: 'x', mode: 0o644 }, 'd/g': '' }, false],
    ['a file elsewhere', { ...base, e: 'x' }, true],
  ])('%s: same digest %s', async (_name, entries, same) => {
    expect((await digest(entries, 'd')) === (await digest(base, 'd'))).toBe(same);
  });

  test('names of files count, since they name the copies', async () => {
    expect(await digest({ a: 'x', b: 'x' }, 'a')).not.toBe(await digest({ a: 'x', b: 'x' }, 'b'));
  });
  test('has Docker’s prefixes', async () => {
    expect(await digest({ a: '' }, 'a')).toMatch(/^file:[0-9a-f]{64}$/);
    expect(await digest({ a: '' }, '.')).toMatch(/^dir:[0-9a-f]{64}$/);
    expect(await digest({ a: '', b: '' }, 'a', 'b')).toMatch(/^multi:[0-9a-f]{64}$/);
  });
});

describe('sources', () => {
  const entries = {
    'src/a.js': 'A',
    'src/b.js': 'B',
    'src/sub/c.js': 'C',
    'x.txt': 'X',
    '[odd]': 'O',
    l: { type: 'symlink' as const, linkname: 'x.txt' },
  };
  test.each<[string, string[], string[]]>([
    ['a file', ['x.txt'], ['x.txt']],
    ['a file with slash and dot', ['/./x.txt'], ['x.txt']],
    ['a link is followed and keeps its name', ['l'], ['l']],
    ['a directory is its content', ['src'], ['a.js', 'b.js', 'sub', 'sub/c.js']],
    ['a wildcard', ['src/*.js'], ['a.js', 'b.js']],
    ['a wildcard that matches a directory', ['src/s*'], ['c.js']],
    ['a wildcard in a folder', ['s*/a.js'], ['a.js']],
    ['an escaped bracket', ['\\[odd\\]'], ['[odd]']],
    ['a class', ['src/[ab].js'], ['a.js', 'b.js']],
    ['several', ['x.txt', 'src/b.js'], ['x.txt', 'b.js']],
    ['everything', ['.'], ['[odd]', 'l', 'src', 'src/a.js', 'src/b.js', 'src/sub', 'src/sub/c.js', 'x.txt']],
  ])('%s', async (_name, sources, want) => {
    expect(Object.keys(await packed(entries, sources))).toEqual(want);
  });

  test.each<[string, string[], string]>([
    [
      'missing',
      ['nope'],
      'file not found in build context or excluded by .dockerignore: stat nope: file does not exist',
    ],
    ['missing below', ['src/nope'], 'stat src/nope: file does not exist'],
    ['nothing matches', ['*.md'], 'no source files were specified'],
    ['outside', ['../x'], 'forbidden path outside the build context: ../x ()'],
    ['outside in the end', ['src/../../x'], 'forbidden path outside the build context'],
    ['a bad pattern', ['[x'], 'syntax error in pattern'],
  ])('%s', async (_name, sources, want) => {
    await expect(packed(entries, sources)).rejects.toThrow(want);
  });
});

describe('packing', () => {
  test('gives all to root, keeps modes, times and links', async () => {
    expect(
      await packed(
        { 'd/f': { content: 'x', mode: 0o600, uid: 5, mtime: 50 }, 'd/l': { type: 'symlink', linkname: '/out' } },
        ['d'],
      ),
    ).toEqual({ f: 'file 600 0 50 x', l: 'symlink 644 0 0 /out' });
  });
  test('clamps times to the source date', async () => {
    expect(
      await packed({ f: { content: '', mtime: 500 }, g: { content: '', mtime: 5 } }, ['.'], { sourceDateEpoch: 100 }),
    ).toEqual({
      f: 'file 644 0 100 ',
      g: 'file 644 0 5 ',
    });
  });
  test('unpacks archives for ADD with their owners, and only then', async () => {
    const inner = tarOf({ 'deep/file': { content: 'hi', uid: 42 } });
    for (const [name, bytes] of [
      ['a.tar', inner],
      ['a.tgz', gzipSync(inner)],
      ['a.tzst', zstdCompressSync(inner)],
    ] as const) {
      expect(await packed({ [name]: bytes }, [name], { extract: true })).toEqual({ 'deep/file': 'file 644 42 0 hi' });
      expect(Object.keys(await packed({ [name]: bytes }, [name]))).toEqual([name]);
    }
  });
  test('takes compressed files that are no archives as they are', async () => {
    expect(Object.keys(await packed({ 'a.gz': gzipSync('just text') }, ['a.gz'], { extract: true }))).toEqual(['a.gz']);
  });
  test('refuses archives it cannot unpack and such that unpack to too much', async () => {
    const xz = Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(100)]);
    await expect(packed({ 'a.xz': xz }, ['a.xz'], { extract: true })).rejects.toThrow(
      'a.xz is compressed with xz, which is not supported',
    );
    const bomb = gzipSync(tarOf({ big: Buffer.alloc(2 << 20) }));
    await expect(packed({ bomb }, ['bomb'], { extract: true })).rejects.toThrow('unpacks to more than');
  });
  test('streams files larger than its pieces whole', async () => {
    const large = Buffer.alloc(300_000, 'abc');
    expect((await packed({ large }, ['large']))['large']).toBe(`file 644 0 0 ${large.toString()}`);
  });
});
