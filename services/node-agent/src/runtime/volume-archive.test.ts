import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { volumeArchive } from '../volumes/volume-archive.ts';
import { buildShim, requireRoot } from './testing/shim-binary.ts';
import { buildTar, type TarMember } from './testing/tar-builder.ts';
import { listTree } from './testing/tree-listing.ts';
import { type PackVolumeOptions, type UnpackVolumeOptions, VolumeTools } from './volume-tools.ts';

requireRoot();
const tools = new VolumeTools(buildShim());
const signal = AbortSignal.timeout(120_000);
let root: string;
let source: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'atoll-volume-'));
  source = folder('source');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function folder(name: string): string {
  const path = join(root, name);
  mkdirSync(path);
  return path;
}

const sh = (script: string, cwd = source): string =>
  execFileSync('sh', ['-ec', script], { cwd, encoding: 'utf8', env: { PATH: process.env['PATH'], LC_ALL: 'C' } });
const python = (script: string, ...args: string[]): string =>
  execFileSync('python3', ['-c', script, ...args], { encoding: 'utf8' }).trim();

function archive(options: PackVolumeOptions = {}, from = source): AsyncGenerator<Uint8Array> {
  const manifest = { name: 'v', labels: { a: 'b' } };
  return volumeArchive(
    manifest,
    (head) => tools.pack(from, { ...options, head }, signal),
    async () => undefined,
  );
}
const bytesOf = async (stream: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
};
async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}
async function unpack(bytes: Buffer, options: UnpackVolumeOptions = {}, name = 'copy'): Promise<string> {
  const into = folder(name);
  await tools.unpack(into, once(bytes), options, signal);
  return join(into, 'data');
}

/** Everything that a file has beside its content, of the whole tree, with times and numbers of links. */
const described = (path: string): string =>
  sh('find . -printf "%p %y %m %U:%G %s %T@ %n %l\\n" | grep -v "^. " | sort', path).replace(
    /^(\S+ d \S+ \S+) \d+/gm,
    '$1',
  );

describe('a volume in an archive and out again', () => {
  test('owners, modes, times, links, holes, nodes and long names', async () => {
    sh(`mkdir -p d/e; echo hi >d/a; chown 33:70000 d/a; chmod 4751 d/a; ln d/a hard; ln -s ../nowhere d/link; ln -s /etc/passwd abs
        mkfifo p; mknod c c 1 3; mknod zero c 0 0; chmod 1777 d/e; chown 4000000000:5 p
        n=$(printf %0200d 7); mkdir -p "$n/$n"; echo long >"$n/$n/$n"; echo x >"$(printf 'umla\\303\\274t new\\nline')"
        touch -d '1931-05-06 07:08:09.123456789' hard; touch -d '2200-01-01 00:00:00.5' d; : >empty`);
    const copy = await unpack(await bytesOf(archive()));
    expect(described(copy)).toBe(described(source));
    expect(listTree(copy)).toEqual(listTree(source));
  });

  test.each([
    [
      'in the middle',
      'printf a >f; printf b | dd of=f bs=1 seek=40000000 conv=notrunc status=none; truncate -s 40960000 f',
    ],
    ['all of it', 'truncate -s 50000000 f'],
    ['before data at the end', 'printf end | dd of=f bs=1 seek=60000001 status=none'],
  ])('a hole: %s', async (_name, script) => {
    sh(script);
    const bytes = await bytesOf(archive());
    expect(bytes.length).toBeLessThan(100_000);
    const copy = await unpack(bytes);
    sh(`cmp f ${copy}/f`);
    expect(statSync(join(copy, 'f')).blocks).toBeLessThanOrEqual(statSync(join(source, 'f')).blocks + 8);
    // Others read it too.
    const foreign = folder('foreign');
    writeFileSync(join(root, 'a.tar'), bytes);
    sh(`tar -xf ${root}/a.tar; cmp ${source}/f data/f`, foreign);
  });

  test('attributes: of users, of root, capabilities, ACLs', async () => {
    sh('echo x >f; mkdir d');
    const set = `import os,sys
f,d=sys.argv[1]+'/f',sys.argv[1]+'/d'
os.setxattr(f,'user.note',b'a\\0b'); os.setxattr(f,'trusted.overlay.opaque',b'y'); os.setxattr(f,'user.overlay.x',b'1')
os.setxattr(f,'security.capability',bytes.fromhex('0100000200040000000000000000000000000000'))
os.setxattr(d,'system.posix_acl_default',bytes.fromhex('02000000'+'01000700ffffffff'+'0200060021000000'+'04000500ffffffff'+'10000700ffffffff'+'20000500ffffffff'))`;
    python(set, source);
    const get = `import os,sys
for n in 'fd':
  p=sys.argv[1]+'/'+n
  print(n,sorted((k,os.getxattr(p,k).hex()) for k in os.listxattr(p)))`;
    const copy = await unpack(await bytesOf(archive()));
    expect(python(get, copy)).toBe(python(get, source));
    expect(python(get, copy)).toContain('security.capability');
  });

  test('the manifest and the digest are told', async () => {
    const answer = await tools.unpack(folder('x'), archive(), {}, signal);
    expect(JSON.parse(answer.manifest)).toMatchObject({ format: 1, volume: 'v', labels: { a: 'b' } });
    expect(answer.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(answer.entries).toBe(3);
  });
});

describe('an archive that is not as it was written makes nothing', () => {
  /** Each member has its time in a pax header of two blocks. */
  const FILE_AT = 1024 + 1536;
  const DIGEST_AT = FILE_AT + 2048;
  const whole = (): Promise<Buffer> => {
    writeFileSync(join(source, 'f'), 'content of the file');
    return bytesOf(archive());
  };
  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ['a byte of a file', (b) => flip(b, b.indexOf('content of')), /damaged or changed/],
    ['a byte of the manifest', (b) => flip(b, b.indexOf('"volume":"v"') + 10), /damaged or changed/],
    ['a byte of the digest', (b) => flip(b, b.indexOf('sha256:') + 9), /damaged or changed/],
    ['cut off before the digest', (b) => b.subarray(0, DIGEST_AT), /cut off/],
    ['cut off in a file', (b) => b.subarray(0, b.indexOf('content of') + 4), /in the middle/],
    ['without anything', () => Buffer.alloc(0), /cut off/],
    ['an end mark before the digest', (b) => Buffer.concat([b.subarray(0, DIGEST_AT), Buffer.alloc(1024)]), /cut off/],
    ['a member left out', (b) => Buffer.concat([b.subarray(0, FILE_AT), b.subarray(DIGEST_AT)]), /damaged or changed/],
    [
      'members behind the digest',
      (b) => Buffer.concat([b.subarray(0, b.length - 1024), buildTar([{ name: 'data/g' }])]),
      /behind its digest/,
    ],
  ])('%s', async (_name, spoil, words) => {
    const bytes = spoil(Buffer.from(await whole()));
    await expect(unpack(bytes)).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringMatching(words),
    });
  });

  function flip(bytes: Buffer, at: number): Buffer {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  }
});

describe('a hostile archive stays in its folder', () => {
  const tree: TarMember = { name: 'data/', type: '5' };
  const manifest: TarMember = { name: 'atoll-volume.json', content: '{}' };
  const canary = (): string => join(root, 'canary');
  test.each<[string, () => TarMember[], RegExp]>([
    ['a name that climbs', () => [tree, { name: 'data/../../canary/x', content: 'x' }], /leads out of the volume/],
    ['a name that climbs inside', () => [tree, { name: 'data/../x', content: 'x' }], /leads out of the volume/],
    ['an absolute name', () => [tree, { name: '/canary/x', content: 'x' }], /leads out of the volume/],
    ['a name beside the tree', () => [tree, { name: 'other', content: 'x' }], /leads out of the volume/],
    ['a link in place of the root', () => [{ name: 'data', type: '2', link: canary() }], /root is a folder/],
    ['no root', () => [{ name: 'data/x', content: 'x' }], /before the volume's root/],
    ['a hard link out', () => [tree, { name: 'data/x', type: '1', link: '../canary/secret' }], /outside the archive/],
    [
      'a hard link to a file of the host',
      () => [tree, { name: 'data/x', type: '1', link: `${canary()}/secret` }],
      /hard link/,
    ],
    [
      'a reference without a copy',
      () => [tree, { name: 'data/x', pax: { 'ATOLL.base': 'f' } }],
      /refers to an earlier copy/,
    ],
    [
      'an attribute of a security module',
      () => [tree, { name: 'data/x', pax: { 'SCHILY.xattr.security.ima': 'x' } }],
      /none of a volume's/,
    ],
    ['half of a sparse file', () => [tree, { name: 'data/x', pax: { 'GNU.sparse.major': '1' } }], /sparse/],
    ['another sparse format', () => [tree, { name: 'data/x', pax: { 'GNU.sparse.map': '0,1' } }], /sparse/],
    ['a sparse map that lies', () => [tree, sparse('1\n0\n9\n')], /sparse/],
    ['a sparse map that overlaps', () => [tree, sparse('2\n5\n3\n6\n1\n')], /sparse/],
    ['a sparse map without an end', () => [tree, sparse('9999999\n')], /sparse/],
    ['no manifest first', () => [], /does not begin with/],
  ])('%s', async (_name, members, words) => {
    mkdirSync(canary());
    writeFileSync(join(canary(), 'secret'), 'secret');
    const list = members();
    const bytes = buildTar(list.length === 0 ? [tree] : [manifest, ...list]);
    await expect(unpack(bytes)).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringMatching(words),
    });
    expect(await readdir(canary())).toEqual(['secret']);
  });

  test.each([
    ['an absolute link', () => canary()],
    ['a link that climbs', () => '../../canary'],
  ])('what is written through %s', async (_name, target) => {
    mkdirSync(canary());
    const through = [tree, { name: 'data/l', type: '2', link: target() }, { name: 'data/l/x', content: 'x' }];
    await unpack(buildTar([manifest, ...through])).catch(() => undefined);
    expect(await readdir(canary())).toEqual([]);
  });

  function sparse(map: string): TarMember {
    const pax = {
      'GNU.sparse.major': '1',
      'GNU.sparse.minor': '0',
      'GNU.sparse.name': 'data/x',
      'GNU.sparse.realsize': '8',
    };
    return {
      name: 'x',
      pax,
      content: Buffer.concat([Buffer.from(map), Buffer.alloc(512 - map.length), Buffer.from('abcd')]),
    };
  }
});

describe('a further copy', () => {
  let keep: string;
  beforeEach(() => {
    keep = folder('keep');
  });
  /** The files count as settled: they are older than two seconds by the clock of the kernel, which nobody can set here. */
  const settle = (): string => sh('sleep 3.1');
  /** As a reader asks: with the notes of what it has. */
  async function again(): Promise<Buffer> {
    const notes = join(root, 'notes');
    writeFileSync(notes, (await verified()).map((name) => `${name}\n`).join(''));
    return await bytesOf(archive({ unlessNoted: notes }));
  }
  const verified = async (): Promise<string[]> => (await readdir(keep)).filter((name) => !name.endsWith('.new'));
  const receive = (bytes: Buffer, name: string): Promise<string> => unpack(bytes, { keep }, name);
  const same = (copy: string): void => {
    expect(described(copy)).toBe(described(source));
    expect(listTree(copy)).toEqual(listTree(source));
  };
  const MEGA = 1 << 20;

  test('carries only what has changed, and is the same as a whole one', async () => {
    writeFileSync(join(source, 'big'), randomBytes(3_000_000));
    sh(
      'mkdir -p d/e; echo same >d/same; echo old >d/changed; echo gone >gone; echo moved >moved; ln d/same hard; mkdir r; echo inner >r/inner; echo m >mode; : >empty',
    );
    settle();
    const first = await receive(await again(), 'first');
    // Times that lie do not help: what tells is one that nobody can set.
    sh(
      'echo new >d/changed; touch -d 2001-01-01 d/changed; rm gone; mv moved d/there; mv r renamed; echo fresh >fresh; chmod 600 mode; chown 7 d',
    );
    rmSync(first, { recursive: true });
    const bytes = await again();
    expect(bytes.length).toBeLessThan(100_000);
    const second = await receive(bytes, 'second');
    rmSync(keep, { recursive: true });
    same(second);
    sh(`cmp big ${second}/big`);
  });

  test('a file that was just written is carried again', async () => {
    writeFileSync(join(source, 'fresh'), 'x');
    utimesSync(join(source, 'fresh'), 1, 1);
    await receive(await again(), 'first');
    const tar = await again();
    expect(tar.includes('ATOLL.')).toBe(false);
    await receive(tar, 'second');
  });

  test('of several versions of a file the newest is kept', async () => {
    for (const content of ['one', 'three']) {
      writeFileSync(join(source, 'f'), content);
      settle();
      await receive(await again(), content);
    }
    expect(await readdir(keep)).toHaveLength(1);
    expect(readFileSync(join(keep, (await readdir(keep))[0] ?? ''), 'utf8')).toBe('three');
  });

  test.each([
    ['with data', (at: number) => writeFileSync(join(source, 'big'), randomBytes(at))],
    [
      'with holes',
      (at: number) =>
        sh(
          `for i in 1 40 70 99; do echo $i | dd of=big bs=1M seek=$i conv=notrunc status=none; done; truncate -s ${at} big; chmod 4751 big; chown 3:4 big`,
        ),
    ],
  ])(
    'a large file %s goes on where it was cut, whatever is damaged behind',
    async (_name, write) => {
      const size = 110 * MEGA + 5;
      write(size);
      writeFileSync(join(source, 'a'), 'small');
      python("import os,sys\nos.setxattr(sys.argv[1],'user.note',b'x')", join(source, 'big'));
      settle();
      const whole = await again();
      const points = checkpoints(whole);
      expect(points.length).toBeGreaterThanOrEqual(3);
      for (const [index, point] of points.entries()) {
        await expect(receive(whole.subarray(0, point - 700), `cut-${index}`)).rejects.toThrow(/in the middle|cut off/);
        const rest = await again();
        // What came before the last checkpoint is not sent again.
        expect(rest.length).toBeLessThan(whole.length - (points[index - 1] ?? 0) + 20_000);
        rmSync(join(root, `cut-${index}`), { recursive: true });
      }
      const copy = await receive(await again(), 'copy');
      rmSync(keep, { recursive: true });
      same(copy);
      sh(`cmp big ${copy}/big`);
      expect(statSync(join(copy, 'big')).blocks).toBeLessThanOrEqual(statSync(join(source, 'big')).blocks + 64);
    },
    60_000,
  );

  test('nothing is kept of bytes that a checkpoint does not fit', async () => {
    writeFileSync(join(source, 'big'), randomBytes(70 * MEGA));
    settle();
    const whole = await again();
    const [, second = 0] = checkpoints(whole);
    const spoilt = Buffer.from(whole);
    spoilt[second - 100_000] = (spoilt[second - 100_000] ?? 0) ^ 1;
    await expect(receive(spoilt, 'bad')).rejects.toThrow(/damaged or changed/);
    expect((await verified()).map((name) => Number.parseInt(name.split('-').at(-1) ?? '', 16))).toEqual([32 * MEGA]);
    const copy = await receive(await again(), 'copy');
    sh(`cmp big ${copy}/big`);
  }, 60_000);

  test('a file that was changed after a cut is carried from its begin', async () => {
    writeFileSync(join(source, 'big'), randomBytes(40 * MEGA));
    settle();
    const whole = await again();
    await expect(receive(whole.subarray(0, whole.length - 5_000), 'cut')).rejects.toThrow();
    sh('printf x | dd of=big bs=1 seek=5 conv=notrunc status=none; touch -d 2001-01-01 big');
    settle();
    const copy = await receive(await again(), 'copy');
    sh(`cmp big ${copy}/big`);
  }, 60_000);

  test('notes of another start of the host, or of nothing, fit nothing', async () => {
    writeFileSync(join(source, 'f'), 'x');
    settle();
    await receive(await again(), 'first');
    const [name = ''] = await readdir(keep);
    await rename(join(keep, name), join(keep, `${'0'.repeat(32)}${name.slice(32)}`));
    expect((await again()).includes('ATOLL.base')).toBe(false);
    writeFileSync(join(root, 'notes'), 'nonsense\n');
    await expect(bytesOf(archive({ unlessNoted: join(root, 'notes') }))).rejects.toThrow(/no note/);
  });

  const member = (name: string, pax: Record<string, string>, content = 'x'): TarMember => ({ name, pax, content });
  const NOTE = `${'0'.repeat(32)}-1-2-3-4-5`;
  test.each<[string, TarMember[], RegExp]>([
    ['a file that was not begun', [member('data/x', { 'ATOLL.at': '5' })], /go on with it/],
    ['a place it has not come to', [member('data/x', {}), member('data/x', { 'ATOLL.at': '5' })], /not come to/],
    [
      'what a link leads to',
      [{ name: 'data/x', type: '2', link: 'f' }, member('data/x', { 'ATOLL.at': '1' })],
      /go on with it/,
    ],
    ['a FIFO', [{ name: 'data/x', type: '6' }, member('data/x', { 'ATOLL.at': '1' })], /go on with it/],
    ['a note with a path', [member('data/x', { 'ATOLL.note': '../../canary/x' })], /the note of/],
    ['an endless note', [member('data/x', { 'ATOLL.note': `${NOTE}${'0'.repeat(200)}` })], /a note/],
    [
      'a checkpoint of other bytes',
      [member('data/x', { 'ATOLL.note': NOTE }), { name: 'atoll-checkpoint', content: `sha256:${'0'.repeat(64)}\n` }],
      /damaged or changed/,
    ],
  ])('a hostile one goes on with %s', async (_name, members, words) => {
    mkdirSync(join(root, 'canary'));
    const tar = buildTar([{ name: 'atoll-volume.json', content: '{}' }, { name: 'data/', type: '5' }, ...members]);
    await expect(receive(tar, 'hostile')).rejects.toThrow(words);
    expect(await verified()).toEqual([]);
    expect(await readdir(join(root, 'canary'))).toEqual([]);
  });

  test.each(['../canary', 'l/x', '/canary'])('a reference to %s finds nothing outside', async (base) => {
    const outside = folder('canary');
    writeFileSync(join(outside, 'x'), 'secret');
    const earlier = folder('earlier');
    sh(`ln -s ${outside} l`, earlier);
    const tar = buildTar([
      { name: 'atoll-volume.json', content: '{}' },
      { name: 'data/', type: '5' },
      { name: 'data/x', pax: { 'ATOLL.base': base } },
    ]);
    for (const copy of [false, true]) {
      await expect(unpack(tar, { earlier, copy }, `u${copy}`)).rejects.toThrow(/step/);
      expect(listTree(join(root, `u${copy}`)).filter((line) => line.includes('secret'))).toEqual([]);
    }
  });

  /** Where the checkpoints of an archive are. */
  function checkpoints(bytes: Buffer): number[] {
    const found: number[] = [];
    for (let at = bytes.indexOf('atoll-checkpoint'); at >= 0; at = bytes.indexOf('atoll-checkpoint', at + 1))
      found.push(at);
    return found;
  }
});

test('a copy on the same host is of its own', async () => {
  sh('mkdir d; echo one >d/f; ln d/f hard; truncate -s 9000000 hole; printf x >>hole; chown 3:4 hole; ln -s d l');
  const tar = await bytesOf(archive({ byReference: true }));
  expect(tar.length).toBeLessThan(30_000);
  const copy = await unpack(tar, { earlier: source, copy: true });
  expect(described(copy)).toBe(described(source));
  expect(statSync(join(copy, 'hole')).blocks).toBeLessThan(100);
  sh('echo two >d/f');
  expect(readFileSync(join(copy, 'd/f'), 'utf8')).toBe('one\n');
});

test('placing: nothing is overwritten unless that is asked for, then in one step', async () => {
  const place = join(root, 'place');
  await tools.place(source, place, false, signal);
  writeFileSync(join(place, 'old'), '');
  const next = folder('next');
  writeFileSync(join(next, 'new'), '');
  await expect(tools.place(next, place, false, signal)).rejects.toMatchObject({ reason: 'conflict' });
  await tools.place(next, place, true, signal);
  expect([await readdir(place), await readdir(next)]).toEqual([['new'], ['old']]);
  await rename(place, source);
});

test('a tree is read in bounded memory', async () => {
  sh('truncate -s 1G hole; dd if=/dev/zero of=data bs=1M count=64 status=none');
  let bytes = 0;
  for await (const chunk of tools.pack(source, {}, signal)) bytes += chunk.length;
  expect(bytes).toBeGreaterThan(64 << 20);
  expect(bytes).toBeLessThan(65 << 20);
  expect((await buffer(tools.pack(folder('none'), {}, signal))).length).toBe(1536);
});
