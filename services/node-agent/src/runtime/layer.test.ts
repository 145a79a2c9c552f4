import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AppliedLayer, ShimTools, type UnpackLimits } from './shim-tools.ts';
import { buildShim, requireRoot } from './testing/shim-binary.ts';
import { buildTar, type TarMember } from './testing/tar-builder.ts';
import { listTree } from './testing/tree-listing.ts';

const tools = new ShimTools(buildShim());
const signal = AbortSignal.timeout(120_000);
let folder: string;
let canary: string;
let count = 0;

beforeAll(async () => {
  requireRoot();
  folder = await mkdtemp(join(tmpdir(), 'atoll-layer-'));
  canary = join(folder, 'canary');
  await mkdir(canary);
  await writeFile(join(canary, 'secret'), 'untouched', { mode: 0o600 });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function unpack(tar: Buffer, limits: UnpackLimits = {}): Promise<{ root: string; applied: AppliedLayer }> {
  const root = join(folder, `layer${count++}`);
  await mkdir(root);
  return { root, applied: await tools.applyLayer(root, Readable.from([tar]), limits, signal) };
}

async function expectCanaryUntouched(): Promise<void> {
  expect(await readdir(canary)).toEqual(['secret']);
  expect(listTree(canary)).toEqual(['file 600 0:0 secret "untouched"']);
}

const file = (name: string, content = 'x'): TarMember => ({ name, content });
const link = (name: string, target: string): TarMember => ({ name, type: '2', link: target });
const hard = (name: string, target: string): TarMember => ({ name, type: '1', link: target });
const dir = (name: string): TarMember => ({ name, type: '5' });
const X = 'file 644 0:0';
const D = 'folder 755 0:0';
const L = 'link 777 0:0';

describe('unpacking a layer', () => {
  it('gives the digest of the whole stream, what follows the end included', async () => {
    const tar = Buffer.concat([buildTar([file('a', 'hello'), dir('d')]), Buffer.alloc(10_240, 7)]);
    const { applied } = await unpack(tar);
    expect(applied).toEqual({
      diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}`,
      bytes: 5,
      entries: 2,
    });
  });

  it.each([0, 1, 55, 56, 63, 64, 65, 1000, 262_143, 262_144, 300_000])(
    'hashes %i bytes as everybody does',
    async (size) => {
      const tar = buildTar([file('f', 'y'.repeat(size))]);
      expect((await unpack(tar)).applied.diffId).toBe(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
    },
  );

  it.each([
    [
      'files, folders, links and owners',
      [dir('d'), { ...file('d/f'), mode: 0o4755, uid: 7, gid: 8 }, link('l', '/abs'), hard('h', 'd/f')],
      [`${D} d`, 'file 4755 7:8 d/f "x"', 'file 4755 7:8 h "x"', `${L} l -> /abs`],
    ],
    ['a missing parent', [file('a/b/c')], [`${D} a`, `${D} a/b`, `${X} a/b/c "x"`]],
    ['an absolute name', [file('/a')], [`${X} a "x"`]],
    ['dots in the middle', [file('./a/../b'), file('.//c')], [`${X} b "x"`, `${X} c "x"`]],
    ['a name with a backslash', [file('a\\b')], [`${X} a\\b "x"`]],
    [
      'a long name by pax',
      [{ ...file('short'), pax: { path: `${'n'.repeat(120)}/f` } }],
      [`${D} ${'n'.repeat(120)}`, `${X} ${'n'.repeat(120)}/f "x"`],
    ],
    [
      'a long name by GNU',
      [{ name: '././@LongLink', type: 'L', content: `${'m'.repeat(150)}\0` }, file('cut')],
      [`${X} ${'m'.repeat(150)} "x"`],
    ],
    [
      'a size by pax over the header',
      [{ name: 'f', content: 'abc', pax: { size: '3' }, size: Buffer.from('00000000000\0') }],
      [`${X} f "abc"`],
    ],
    [
      'a size in base 256',
      [{ name: 'f', content: 'abc', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]) }],
      [`${X} f "abc"`],
    ],
    ['a FIFO without opening it', [{ name: 'p', type: '6' }], ['fifo 644 0:0 p']],
    ['a device', [{ name: 'n', type: '3', major: 1, minor: 3 }], ['device 259 644 0:0 n']],
    ['the last of several of one name', [file('f', 'old'), file('f', 'new')], [`${X} f "new"`]],
    ['a folder after a file', [file('f'), dir('f'), file('f/g')], [`${D} f`, `${X} f/g "x"`]],
    ['a file after a folder', [dir('f'), file('f/g'), file('f')], [`${X} f "x"`]],
    [
      'a file after a link, not through it',
      [link('f', 'g'), file('g', 'kept'), file('f', 'own')],
      [`${X} f "own"`, `${X} g "kept"`],
    ],
    ['a whiteout', [dir('d'), file('d/.wh.gone')], [`${D} d`, 'whiteout 0 0:0 d/gone']],
    ['a whiteout beside the file it would hide', [file('f', 'kept'), file('.wh.f')], [`${X} f "kept"`]],
    ['a file after its whiteout', [file('.wh.f'), file('f', 'kept')], [`${X} f "kept"`]],
    ['names of aufs by leaving them out', [file('.wh..wh.plnk'), file('f')], [`${X} f "x"`]],
  ] as [string, TarMember[], string[]][])('handles %s', async (_name, members, wanted) => {
    expect(listTree((await unpack(buildTar(members))).root)).toEqual(wanted);
  });

  it.each([
    ['a name that climbs out', [file('../a')]],
    ['a name that climbs out later', [file('a/../../b')]],
    ['a name that is only dots', [file('..')]],
    ['a file as the root', [file('.')]],
    ['a whiteout of the parent', [file('.wh...')]],
    ['a whiteout of the folder itself', [file('.wh..')]],
    ['a whiteout without a name', [file('.wh.')]],
    ['a hard link that climbs out', [hard('h', '../canary/secret')]],
    ['a hard link to an absolute path', [hard('h', '/etc/passwd')]],
    ['a hard link to nothing', [hard('h', 'missing')]],
    ['a hard link to a folder', [dir('d'), hard('h', 'd')]],
    ['the device 0:0', [{ name: 'n', type: '3', major: 0, minor: 0 }]],
    ['a name with a zero byte', [{ ...file('f'), pax: { path: 'a\0b' } }]],
    ['a sparse file of GNU', [{ ...file('f'), type: 'S' }]],
    ['a sparse file by pax', [{ ...file('f'), pax: { 'GNU.sparse.major': '1' } }]],
    ['an unknown type', [{ ...file('f'), type: 'Z' }]],
    ['a pax size that is no number', [{ ...file('f'), pax: { size: '1x' } }]],
    ['a negative size', [{ name: 'f', content: '', size: Buffer.alloc(12, 0xff) }]],
    ['a name beyond 255 bytes', [{ ...file('f'), pax: { path: 'n'.repeat(256) } }]],
    ['a path beyond 4095 bytes', [{ ...file('f'), pax: { path: 'n/'.repeat(2100) } }]],
  ] as [string, TarMember[]][])('refuses %s', async (_name, members) => {
    await expect(unpack(buildTar(members))).rejects.toMatchObject({
      reason: expect.stringMatching(/invalid-argument|not-found/),
    });
    await expectCanaryUntouched();
  });

  it.each([
    ['an absolute link', [link('out', 'CANARY'), file('out/new')]],
    ['a link that climbs', [link('out', '../canary'), file('out/new')]],
    ['a chain of links', [link('a', 'CANARY'), link('b', 'a'), file('b/new')]],
    ['a link in the middle', [dir('d'), link('d/out', '../../canary'), file('d/out/new')]],
    ['a link with a slash behind its name', [link('out/', 'CANARY'), file('out/new')]],
    ['a link that a folder entry names', [link('out', 'CANARY'), { ...dir('out'), mode: 0o777 }]],
    ['a file over the link', [link('out', 'CANARY/secret'), file('out', 'overwritten')]],
    [
      'a hard link to the link',
      [link('out', 'CANARY/secret'), hard('h', 'out'), { ...file('h', 'overwritten'), mode: 0o777 }],
    ],
    ['a hard link through the link', [link('out', 'CANARY'), hard('h', 'out/secret')]],
    ['a whiteout through the link', [link('out', 'CANARY'), file('out/.wh.secret')]],
    ['an opaque mark through the link', [link('out', 'CANARY'), file('out/.wh..wh..opq')]],
    ['a link as parent and grandparent', [link('x', '/'), file('x/../../../CANARY/new')]],
  ] as [string, TarMember[]][])('never gets out by %s', async (_name, members) => {
    const real = members.map((member) => ({
      ...member,
      name: member.name.replace('CANARY', canary.slice(1)),
      ...(member.link === undefined ? {} : { link: member.link.replace('CANARY', canary) }),
    }));
    await unpack(buildTar(real)).catch(() => {});
    await expectCanaryUntouched();
  });

  it.each([
    ['an end in the middle of a file', buildTar([file('f', 'x'.repeat(2000))]).subarray(0, 1000)],
    ['an end in a header', buildTar([file('f')]).subarray(0, 300)],
    ['a wrong checksum', Buffer.concat([Buffer.from('!'), buildTar([file('f')]).subarray(1)])],
    ['noise', Buffer.alloc(4096, 'noise ')],
    [
      'a pax record that lies about its length',
      buildTar([{ name: 'p', type: 'x', content: '99 path=a\n' }, file('f')]),
    ],
    ['a pax header of 3 MiB', buildTar([{ name: 'p', type: 'x', content: Buffer.alloc(3 << 20, 'a') }, file('f')])],
  ])('refuses %s', async (_name, tar) => {
    await expect(unpack(tar)).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  it.each([
    ['bytes', { maxBytes: 10 }, [file('a', '123456'), file('b', '123456')]],
    ['a size that only the header claims', { maxBytes: 1 << 30 }, [{ name: 'f', size: Buffer.from('77777777777\0') }]],
    ['members', { maxEntries: 3 }, ['a', 'b', 'c', 'd'].map((name) => file(name))],
  ] as [string, UnpackLimits, TarMember[]][])('stops at the limit of %s', async (_name, limits, members) => {
    await expect(unpack(buildTar(members), limits)).rejects.toMatchObject({ reason: 'resource-exhausted' });
  });

  it('sets times of folders last, and of what is in them', async () => {
    const { root } = await unpack(
      buildTar([
        { ...dir('d'), mtime: 5000 },
        { ...file('d/f'), mtime: 6000 },
      ]),
    );
    const times = execFileSync('stat', ['-c', '%Y', join(root, 'd'), join(root, 'd/f')], { encoding: 'utf8' });
    expect(times).toBe('5000\n6000\n');
  });
});

describe('packing a layer', () => {
  const members = [
    dir('a'),
    file('a/.wh.gone'),
    { ...file('a/f', 'content'), uid: 3_000_000, gid: 5 },
    file('b'),
    hard('c', 'b'),
    dir('o'),
    file('o/.wh..wh..opq'),
    file('o/new'),
    link('s', 'l'.repeat(150).slice(0, 99)),
    file(`${'deep/'.repeat(18)}f`),
  ];

  it('is the inverse of unpacking, byte for byte the second time', async () => {
    const { root } = await unpack(buildTar(members));
    const first = await buffer(tools.diffLayer(root, signal));
    const again = await unpack(first);
    const second = await buffer(tools.diffLayer(again.root, signal));
    expect(second.equals(first)).toBe(true);
    expect(listTree(again.root)).toEqual(listTree(root));
  });

  it('writes what GNU tar reads, with whiteouts and opaque marks', async () => {
    const { root } = await unpack(
      buildTar([...members, { ...file('x'), pax: { path: `${'n'.repeat(200)}/${'m'.repeat(200)}` } }]),
    );
    const listing = execFileSync('tar', ['-tf', '-'], {
      input: await buffer(tools.diffLayer(root, signal)),
      encoding: 'utf8',
    });
    expect(listing.trim().split('\n')).toEqual(
      expect.arrayContaining([
        'a/',
        'a/.wh.gone',
        'a/f',
        'b',
        'c',
        'o/',
        'o/.wh..wh..opq',
        'o/new',
        's',
        `${'n'.repeat(200)}/${'m'.repeat(200)}`,
      ]),
    );
  });

  it('fails, rather than ends, when the folder is missing', async () => {
    await expect(buffer(tools.diffLayer('/no/such/folder', signal))).rejects.toMatchObject({
      details: { errno: 'ENOENT' },
    });
  });

  it('lists changes against the layers below', async () => {
    const lower = await unpack(buildTar([file('same'), dir('d'), file('d/old'), file('gone')]));
    const top = await unpack(buildTar([dir('d'), file('d/new'), file('same', 'other'), file('.wh.gone')]));
    expect(await tools.changes(top.root, [lower.root], signal)).toEqual([
      { kind: 'changed', path: '/d' },
      { kind: 'added', path: '/d/new' },
      { kind: 'deleted', path: '/gone' },
      { kind: 'changed', path: '/same' },
    ]);
  });
});

describe('copying in and out of a root', () => {
  const get = async (root: string, path: string): Promise<string[]> =>
    execFileSync('tar', ['-tf', '-'], {
      input: await buffer(tools.getArchive({ kind: 'directory', path: root }, path, signal)),
      encoding: 'utf8',
    })
      .trim()
      .split('\n');

  it.each([
    ['/d', ['d/', 'd/f', 'd/l']],
    ['/d/', ['d/', 'd/f', 'd/l']],
    ['/d/.', ['./', './f', './l']],
    ['/d/f', ['f']],
    ['/d/l', ['l']],
    ['/to-d', ['to-d']],
    ['/to-d/', ['to-d/', 'to-d/f', 'to-d/l']],
    ['/to-d/f', ['f']],
    ['/abs/f', ['f']],
    ['/', ['/', '/abs', '/d/', '/d/f', '/d/l', '/to-d']],
  ])('names the members of %s as Docker does', async (path, wanted) => {
    const { root } = await unpack(
      buildTar([dir('d'), file('d/f'), link('d/l', 'f'), link('to-d', 'd'), link('abs', '/d')]),
    );
    expect(await get(root, path)).toEqual(wanted);
  });

  it('describes a path and where a link leads', async () => {
    const { root } = await unpack(buildTar([dir('d'), file('d/f', 'abc'), link('l', '/d/../d/f')]));
    const spec = { kind: 'directory', path: root } as const;
    expect(await tools.statPath(spec, '/d/f', signal)).toMatchObject({
      name: 'f',
      size: 3,
      mode: 0o100644,
      mtimeSeconds: 1_000_000_000,
      linkTarget: '',
    });
    expect(await tools.statPath(spec, '/l', signal)).toMatchObject({ name: 'l', linkTarget: '/d/f' });
    await expect(tools.statPath(spec, '/none', signal)).rejects.toMatchObject({ reason: 'not-found' });
    await expect(tools.statPath(spec, '/d/f/g', signal)).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  it('never reads through a link to the outside', async () => {
    const { root } = await unpack(buildTar([link('out', canary), link('up', '../canary')]));
    for (const path of ['/out/secret', '/up/secret', '/out/', '/../canary/secret']) {
      await expect(get(root, path)).rejects.toMatchObject({ reason: 'not-found' });
    }
  });

  it('puts with a new owner and name, making folders', async () => {
    const { root } = await unpack(buildTar([link('out', canary)]));
    const put = (path: string, members: TarMember[], options = {}) =>
      tools.putArchive({ kind: 'directory', path: root }, path, Readable.from([buildTar(members)]), options, signal);
    await put('/new/deep', [dir('src'), file('src/f')], {
      makeFolders: true,
      owner: { uid: 5, gid: 6 },
      rename: 'dst',
    });
    expect(listTree(root)).toEqual([
      `${D} new`,
      `${D} new/deep`,
      'folder 755 5:6 new/deep/dst',
      'file 644 5:6 new/deep/dst/f "x"',
      `${L} out -> ${canary}`,
    ]);
    await expect(put('/none', [file('f')])).rejects.toMatchObject({ reason: 'not-found' });
    await expect(put('/new/deep/dst/f', [file('f')])).rejects.toMatchObject({ reason: 'invalid-argument' });
    await expect(put('/new', [file('deep')], { keepKinds: true })).rejects.toThrow('cannot overwrite directory');
    await expect(put('/out', [file('f')])).rejects.toMatchObject({ reason: 'not-found' });
    await expectCanaryUntouched();
  });

  it('works on an overlay that no mount table has', async () => {
    const lower = await unpack(buildTar([file('f', 'lower')]));
    const upper = join(folder, 'upper');
    const work = join(folder, 'work');
    await mkdir(upper);
    await mkdir(work);
    const spec = { kind: 'overlay', lowers: [lower.root], upper, work } as const;
    await tools.putArchive(spec, '/', Readable.from([buildTar([file('g', 'new')])]), {}, signal);
    expect(await readdir(upper)).toEqual(['g']);
    const both = await buffer(tools.getArchive(spec, '/.', signal));
    expect(execFileSync('tar', ['-tf', '-'], { input: both, encoding: 'utf8' }).trim().split('\n')).toEqual([
      './',
      './f',
      './g',
    ]);
    const view = await buffer(tools.getArchive({ kind: 'overlay', lowers: [lower.root] }, '/f', signal));
    expect(execFileSync('tar', ['-xOf', '-'], { input: view, encoding: 'utf8' })).toBe('lower');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(folder);
  });

  it('resolves users in a root', async () => {
    const { root } = await unpack(buildTar([file('etc/passwd', 'ann:x:7:8::/:/bin/sh\n')]));
    expect(await tools.resolveUser({ kind: 'directory', path: root }, 'ann', signal)).toEqual({ uid: 7, gid: 8 });
    await expect(tools.resolveUser({ kind: 'directory', path: root }, 'bob', signal)).rejects.toThrow(
      'no matching entries in passwd file',
    );
  });

  it('tells what the host offers', async () => {
    expect(await tools.features(signal)).toMatchObject({ openat2: true, clone3: true, seccomp: true });
  });
});
