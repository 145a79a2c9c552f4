import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UnpackLimits } from './shim-tools.ts';
import { CANARY_CONTENT, dir, file, hard, LayerFolder, link } from './testing/layer-folder.ts';
import { buildProbe, busyboxPath } from './testing/shim-binary.ts';
import { buildTar, type TarMember } from './testing/tar-builder.ts';
import { listTree } from './testing/tree-listing.ts';

let layers: LayerFolder;
beforeAll(async () => {
  layers = await LayerFolder.create();
});
afterAll(async () => {
  await layers[Symbol.asyncDispose]();
});

/** Names of a file's attributes. */
const attributes = (path: string): string => execFileSync(buildProbe(), ['xattrs', path], { encoding: 'utf8' });

const X = 'file 644 0:0';
const D = 'folder 755 0:0';
const L = 'link 777 0:0';

describe('unpacking a layer', () => {
  it('gives the digest of the whole stream, what follows the end included', async () => {
    const tar = Buffer.concat([buildTar([file('a', 'hello'), dir('d')]), Buffer.alloc(10_240, 7)]);
    const { applied } = await layers.unpack(tar);
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
      expect((await layers.unpack(tar)).applied.diffId).toBe(
        `sha256:${createHash('sha256').update(tar).digest('hex')}`,
      );
    },
  );

  it.each([
    [
      'I09: files, folders, links and owners',
      [dir('d'), { ...file('d/f'), mode: 0o4755, uid: 7, gid: 8 }, link('l', '/abs'), hard('h', 'd/f')],
      [`${D} d`, 'file 4755 7:8 d/f "x"', 'file 4755 7:8 h "x"', `${L} l -> /abs`],
    ],
    [
      'files of a folder that gives them its group',
      [
        { ...dir('d'), mode: 0o2755, uid: 3, gid: 9 },
        file('d/root'),
        { ...file('d/own'), uid: 3, gid: 9 },
        { ...file('d/wide'), mode: 0o666, uid: 0, gid: 9 },
      ],
      ['folder 2755 3:9 d', 'file 644 3:9 d/own "x"', 'file 644 0:0 d/root "x"', 'file 666 0:9 d/wide "x"'],
    ],
    [
      'files of several owners in folders by turns',
      [
        file('a/1'),
        { ...file('b/1'), uid: 5, gid: 6 },
        { ...file('a/2'), uid: 5, gid: 6 },
        { ...file('b/2'), mode: 0o400 },
      ],
      [`${D} a`, `${X} a/1 "x"`, 'file 644 5:6 a/2 "x"', `${D} b`, 'file 644 5:6 b/1 "x"', 'file 400 0:0 b/2 "x"'],
    ],
    ['I01: a missing parent', [file('a/b/c')], [`${D} a`, `${D} a/b`, `${X} a/b/c "x"`]],
    ['I01: an absolute name', [file('/a')], [`${X} a "x"`]],
    ['I01: dots in the middle', [file('./a/../b'), file('.//c')], [`${X} b "x"`, `${X} c "x"`]],
    ['I01: a name with a backslash', [file('a\\b')], [`${X} a\\b "x"`]],
    [
      'I10: a long name by pax',
      [{ ...file('short'), pax: { path: `${'n'.repeat(120)}/f` } }],
      [`${D} ${'n'.repeat(120)}`, `${X} ${'n'.repeat(120)}/f "x"`],
    ],
    [
      'I10: a long name by GNU',
      [{ name: '././@LongLink', type: 'L', content: `${'m'.repeat(150)}\0` }, file('cut')],
      [`${X} ${'m'.repeat(150)} "x"`],
    ],
    [
      'I10: a size by pax over the header',
      [{ name: 'f', content: 'abc', pax: { size: '3' }, size: Buffer.from('00000000000\0') }],
      [`${X} f "abc"`],
    ],
    [
      'I10: a size in base 256',
      [{ name: 'f', content: 'abc', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]) }],
      [`${X} f "abc"`],
    ],
    ['I08: a FIFO without opening it', [{ name: 'p', type: '6' }], ['fifo 644 0:0 p']],
    ['I08: a device', [{ name: 'n', type: '3', major: 1, minor: 3 }], ['device 259 644 0:0 n']],
    ['I05: the last of several of one name', [file('f', 'old'), file('f', 'new')], [`${X} f "new"`]],
    ['I05: a folder after a file', [file('f'), dir('f'), file('f/g')], [`${D} f`, `${X} f/g "x"`]],
    ['I05: a file after a folder', [dir('f'), file('f/g'), file('f')], [`${X} f "x"`]],
    [
      'I05: a file after a link, not through it',
      [link('f', 'g'), file('g', 'kept'), file('f', 'own')],
      [`${X} f "own"`, `${X} g "kept"`],
    ],
    ['I06: a whiteout', [dir('d'), file('d/.wh.gone')], [`${D} d`, 'whiteout 0 0:0 d/gone']],
    ['I06: a whiteout beside the file it would hide', [file('f', 'kept'), file('.wh.f')], [`${X} f "kept"`]],
    ['I06: a file after its whiteout', [file('.wh.f'), file('f', 'kept')], [`${X} f "kept"`]],
    ['I06: names of aufs by leaving them out', [file('.wh..wh.plnk'), file('f')], [`${X} f "x"`]],
  ] as [string, TarMember[], string[]][])('handles %s', async (_name, members, wanted) => {
    expect(listTree((await layers.unpack(buildTar(members))).root)).toEqual(wanted);
  });

  it.each([
    ['I01: a name that climbs out', [file('../a')]],
    ['I01: a name that climbs out later', [file('a/../../b')]],
    ['I01: a name that is only dots', [file('..')]],
    ['I01: a file as the root', [file('.')]],
    ['I06: a whiteout of the parent', [file('.wh...')]],
    ['I06: a whiteout of the folder itself', [file('.wh..')]],
    ['I06: a whiteout without a name', [file('.wh.')]],
    ['I03: a hard link that climbs out', [hard('h', '../canary/secret')]],
    ['I03: a hard link to an absolute path', [hard('h', '/etc/passwd')]],
    ['I03: a hard link to nothing', [hard('h', 'missing')]],
    ['I03: a hard link to a folder', [dir('d'), hard('h', 'd')]],
    ['I07: the device 0:0', [{ name: 'n', type: '3', major: 0, minor: 0 }]],
    ['I01: a name with a zero byte', [{ ...file('f'), pax: { path: 'a\0b' } }]],
    ['I11: a sparse file of GNU', [{ ...file('f'), type: 'S' }]],
    ['I11: a sparse file by pax', [{ ...file('f'), pax: { 'GNU.sparse.major': '1' } }]],
    ['an unknown type', [{ ...file('f'), type: 'Z' }]],
    ['I10: a pax size that is no number', [{ ...file('f'), pax: { size: '1x' } }]],
    ['I10: a negative size', [{ name: 'f', content: '', size: Buffer.alloc(12, 0xff) }]],
    ['I13: a name beyond 255 bytes', [{ ...file('f'), pax: { path: 'n'.repeat(256) } }]],
    ['I13: a path beyond 4095 bytes', [{ ...file('f'), pax: { path: 'n/'.repeat(2100) } }]],
  ] as [string, TarMember[]][])('refuses %s', async (_name, members) => {
    await expect(layers.unpack(buildTar(members))).rejects.toMatchObject({
      reason: expect.stringMatching(/invalid-argument|not-found/),
    });
    expect(layers.listCanary()).toEqual([CANARY_CONTENT]);
  });

  it.each([
    ['I02: an absolute link', [link('out', 'CANARY'), file('out/new')]],
    ['I02: a link that climbs', [link('out', '../canary'), file('out/new')]],
    ['I02: a chain of links', [link('a', 'CANARY'), link('b', 'a'), file('b/new')]],
    ['I02: a link in the middle', [dir('d'), link('d/out', '../../canary'), file('d/out/new')]],
    ['I02: a link with a slash behind its name', [link('out/', 'CANARY'), file('out/new')]],
    ['I04: a link that a folder entry names', [link('out', 'CANARY'), { ...dir('out'), mode: 0o777 }]],
    ['I02: a file over the link', [link('out', 'CANARY/secret'), file('out', 'overwritten')]],
    [
      'I03: a hard link to the link',
      [link('out', 'CANARY/secret'), hard('h', 'out'), { ...file('h', 'overwritten'), mode: 0o777 }],
    ],
    ['I03: a hard link through the link', [link('out', 'CANARY'), hard('h', 'out/secret')]],
    ['I06: a whiteout through the link', [link('out', 'CANARY'), file('out/.wh.secret')]],
    ['I06: an opaque mark through the link', [link('out', 'CANARY'), file('out/.wh..wh..opq')]],
    ['I02: a link as parent and grandparent', [link('x', '/'), file('x/../../../CANARY/new')]],
  ] as [string, TarMember[]][])('never gets out by %s', async (_name, members) => {
    const real = members.map((member) => ({
      ...member,
      name: member.name.replace('CANARY', layers.canary.slice(1)),
      ...(member.link === undefined ? {} : { link: member.link.replace('CANARY', layers.canary) }),
    }));
    await layers.unpack(buildTar(real)).catch(() => {});
    expect(layers.listCanary()).toEqual([CANARY_CONTENT]);
  });

  it.each([
    ['an end in the middle of a file', buildTar([file('f', 'x'.repeat(2000))]).subarray(0, 1000)],
    ['an end in a header', buildTar([file('f')]).subarray(0, 300)],
    ['a wrong checksum', Buffer.concat([Buffer.from('!'), buildTar([file('f')]).subarray(1)])],
    ['noise', Buffer.alloc(4096, 'noise ')],
    [
      'I10: a pax record that lies about its length',
      buildTar([{ name: 'p', type: 'x', content: '99 path=a\n' }, file('f')]),
    ],
    [
      'I10: a pax header of 3 MiB',
      buildTar([{ name: 'p', type: 'x', content: Buffer.alloc(3 << 20, 'a') }, file('f')]),
    ],
  ])('refuses %s', async (_name, tar) => {
    await expect(layers.unpack(tar)).rejects.toMatchObject({ reason: 'invalid-argument' });
  });

  it.each([
    ['I12: bytes', { maxBytes: 10 }, [file('a', '123456'), file('b', '123456')]],
    [
      'I11: a size that only the header claims',
      { maxBytes: 1 << 30 },
      [{ name: 'f', size: Buffer.from('77777777777\0') }],
    ],
    ['I13: members', { maxEntries: 3 }, ['a', 'b', 'c', 'd'].map((name) => file(name))],
  ] as [string, UnpackLimits, TarMember[]][])('stops at the limit of %s', async (_name, limits, members) => {
    await expect(layers.unpack(buildTar(members), limits)).rejects.toMatchObject({ reason: 'resource-exhausted' });
  });

  it.each([
    ['I02: an empty target', [link('l', ''), file('l/x')]],
    [
      'I03: a hard link through a chain',
      [link('a', 'CANARY'), link('b', 'a'), hard('h', 'b/secret'), file('h', 'overwritten')],
    ],
    [
      'I04: mode and owner through a link',
      [link('l', 'CANARY/secret'), { ...file('l', 'x'), mode: 0o777, uid: 7, gid: 7 }],
    ],
    [
      'I04: attributes through a link',
      [link('d', 'CANARY'), { ...dir('d'), pax: { 'SCHILY.xattr.user.a': 'b' }, mode: 0o777 }],
    ],
    ['I04: an attribute of a link', [{ ...link('l', 'CANARY/secret'), pax: { 'SCHILY.xattr.trusted.a': 'b' } }]],
  ] as [string, TarMember[]][])('never changes what is outside by %s', async (_name, members) => {
    const real = members.map((member) => ({
      ...member,
      ...(member.link === undefined ? {} : { link: member.link.replace('CANARY', layers.canary) }),
    }));
    await layers.unpack(buildTar(real)).catch(() => {});
    expect(layers.listCanary()).toEqual([CANARY_CONTENT]);
    expect([attributes(layers.canary), attributes(join(layers.canary, 'secret'))]).toEqual(['', '']);
  });

  it('I07: takes no attribute of overlayfs or of a security module from an archive, I09: but those of programs', async () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex').toString('latin1');
    const overlay = ['opaque', 'redirect', 'metacopy', 'origin'].flatMap((name) => [
      [`SCHILY.xattr.trusted.overlay.${name}`, 'y'],
      [`SCHILY.xattr.user.overlay.${name}`, 'y'],
    ]);
    const labels = {
      'SCHILY.xattr.security.selinux': 'system_u:object_r:container_file_t:s0',
      'SCHILY.xattr.security.SMACK64': '_',
    };
    const { root } = await layers.unpack(
      buildTar([
        { ...dir('d'), pax: { ...Object.fromEntries(overlay), ...labels } },
        { ...file('f'), mode: 0o4755, pax: { 'SCHILY.xattr.security.capability': capability, ...labels } },
      ]),
    );
    expect(attributes(join(root, 'd'))).toBe('');
    expect(attributes(join(root, 'f'))).toBe('security.capability\n');
  });

  it('I13: makes folders as deep as a path can be', async () => {
    const deep = 'd/'.repeat(2000);
    const { root } = await layers.unpack(buildTar([{ ...file('f'), pax: { path: `${deep}f` } }]));
    expect(execFileSync('find', [root, '-name', 'f', '-printf', '%d'], { encoding: 'utf8' })).toBe('2001');
  });

  it.each([
    ['I13: an attribute of 1 MiB', [{ ...file('f'), pax: { 'SCHILY.xattr.user.a': 'x'.repeat(1 << 20) } }]],
    ['I10: a global header that names', [{ name: 'g', type: 'g', content: '13 path=evil\n' }, file('f')]],
    ['I10: a record without an end', [{ name: 'p', type: 'x', content: '11 path=abc' }, file('f')]],
  ] as [string, TarMember[]][])('takes nothing wrong from %s', async (_name, members) => {
    const outcome = await layers.unpack(buildTar(members)).catch((error: unknown) => error);
    // Refused, or read as GNU tar reads it.
    if (outcome instanceof Error)
      expect(outcome).toMatchObject({ reason: expect.stringMatching(/invalid-argument|resource-exhausted/) });
    else expect(listTree((outcome as { root: string }).root)).toEqual([`${X} f "x"`]);
  });

  it.each([
    [
      'a size by pax',
      [{ name: 'f', content: 'abc', pax: { size: '3' }, size: Buffer.from('00000000000\0') }, file('after')],
    ],
    [
      'a size of base 256',
      [{ name: 'f', content: 'abc', size: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]) }, file('after')],
    ],
    ['a size of a folder', [{ ...dir('d'), size: Buffer.from('00000001000\0') }, file('after')]],
    [
      'two pax headers',
      [{ name: 'p', type: 'x', content: '10 path=a\n' }, { ...file('x'), pax: { path: 'b' } }, file('after')],
    ],
    [
      'pax and GNU names',
      [{ name: '././@LongLink', type: 'L', content: 'gnu\0' }, { ...file('x'), pax: { path: 'pax' } }, file('after')],
    ],
    ['a name with blanks', [file(' a '), file('after')]],
    [
      'bytes that are no UTF-8',
      [{ ...file('f'), pax: { path: Buffer.from('e9', 'hex').toString('latin1') } }, file('after')],
    ],
  ] as [string, TarMember[]][])('I10: reads %s as two other programs do, or refuses it', async (_name, members) => {
    const tar = buildTar(members);
    const outcome = await layers.unpack(tar).catch((error: unknown) => error);
    if (outcome instanceof Error) return expect(outcome).toMatchObject({ reason: 'invalid-argument' });
    const ours = listTree((outcome as { root: string }).root).map((line) =>
      line
        .split(' ')
        .slice(3)
        .join(' ')
        .replace(/ (->|").*$/, ''),
    );
    const plain = (names: readonly string[]) => names.map((name) => name.replace(/\/$/, '')).sort();
    const others = [['tar'], [busyboxPath(), 'tar']].flatMap(([program = '', ...args]) => {
      const { status, stdout } = spawnSync(program, [...args, '-tf', '-'], { input: tar, encoding: 'latin1' });
      // Busybox loses its way after a size that only a pax header has.
      return status === 0 ? [plain(stdout.trimEnd().split('\n')).length] : [];
    });
    expect(others.length).toBeGreaterThan(0);
    expect(others).toEqual(others.map(() => plain(ours).length));
    expect(plain(ours).includes('after')).toBe(true);
  });

  it('I10: gives links no content, whatever size they claim, as docker does', async () => {
    const { root } = await layers.unpack(
      buildTar([{ ...link('l', 'f'), size: Buffer.from('00000001000\0') }, file('after')]),
    );
    expect(listTree(root)).toEqual([`${X} after "x"`, `${L} l -> f`]);
  });

  it('sets times of folders last, and of what is in them', async () => {
    const { root } = await layers.unpack(
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
    const { root } = await layers.unpack(buildTar(members));
    const first = await buffer(layers.tools.diffLayer(root, layers.signal));
    const again = await layers.unpack(first);
    const second = await buffer(layers.tools.diffLayer(again.root, layers.signal));
    expect(second.equals(first)).toBe(true);
    expect(listTree(again.root)).toEqual(listTree(root));
  });

  it('writes what GNU tar reads, with whiteouts and opaque marks', async () => {
    const { root } = await layers.unpack(
      buildTar([...members, { ...file('x'), pax: { path: `${'n'.repeat(200)}/${'m'.repeat(200)}` } }]),
    );
    const listing = execFileSync('tar', ['-tf', '-'], {
      input: await buffer(layers.tools.diffLayer(root, layers.signal)),
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
    await expect(buffer(layers.tools.diffLayer('/no/such/folder', layers.signal))).rejects.toMatchObject({
      details: { errno: 'ENOENT' },
    });
  });

  it('lists changes against the layers below', async () => {
    const lower = await layers.unpack(buildTar([file('same'), dir('d'), file('d/old'), file('gone')]));
    const top = await layers.unpack(buildTar([dir('d'), file('d/new'), file('same', 'other'), file('.wh.gone')]));
    expect(await layers.tools.changes(top.root, [lower.root], layers.signal)).toEqual([
      { kind: 'changed', path: '/d' },
      { kind: 'added', path: '/d/new' },
      { kind: 'deleted', path: '/gone' },
      { kind: 'changed', path: '/same' },
    ]);
  });
});
