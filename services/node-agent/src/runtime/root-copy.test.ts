import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CANARY_CONTENT, dir, file, LayerFolder, link } from './testing/layer-folder.ts';
import { buildTar, type TarMember } from './testing/tar-builder.ts';
import { listTree } from './testing/tree-listing.ts';

let layers: LayerFolder;
beforeAll(async () => {
  layers = await LayerFolder.create();
});
afterAll(async () => {
  await layers[Symbol.asyncDispose]();
});

const D = 'folder 755 0:0';
const L = 'link 777 0:0';

describe('copying in and out of a root', () => {
  const get = async (root: string, path: string): Promise<string[]> =>
    execFileSync('tar', ['-tf', '-'], {
      input: await buffer(layers.tools.getArchive({ kind: 'directory', path: root }, path, layers.signal)),
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
    const { root } = await layers.unpack(
      buildTar([dir('d'), file('d/f'), link('d/l', 'f'), link('to-d', 'd'), link('abs', '/d')]),
    );
    expect(await get(root, path)).toEqual(wanted);
  });

  it('describes a path and where a link leads', async () => {
    const { root } = await layers.unpack(buildTar([dir('d'), file('d/f', 'abc'), link('l', '/d/../d/f')]));
    const spec = { kind: 'directory', path: root } as const;
    expect(await layers.tools.statPath(spec, '/d/f', layers.signal)).toMatchObject({
      name: 'f',
      size: 3,
      mode: 0o100644,
      mtimeSeconds: 1_000_000_000,
      linkTarget: '',
    });
    expect(await layers.tools.statPath(spec, '/l', layers.signal)).toMatchObject({ name: 'l', linkTarget: '/d/f' });
    await expect(layers.tools.statPath(spec, '/none', layers.signal)).rejects.toMatchObject({ reason: 'not-found' });
    await expect(layers.tools.statPath(spec, '/d/f/g', layers.signal)).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });

  it('never reads through a link to the outside', async () => {
    const { root } = await layers.unpack(buildTar([link('out', layers.canary), link('up', '../canary')]));
    for (const path of ['/out/secret', '/up/secret', '/out/', '/../canary/secret']) {
      await expect(get(root, path)).rejects.toMatchObject({ reason: 'not-found' });
    }
  });

  it('puts with a new owner and name, making folders', async () => {
    const { root } = await layers.unpack(buildTar([link('out', layers.canary)]));
    const put = (path: string, members: TarMember[], options = {}) =>
      layers.tools.putArchive(
        { kind: 'directory', path: root },
        path,
        Readable.from([buildTar(members)]),
        options,
        layers.signal,
      );
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
      `${L} out -> ${layers.canary}`,
    ]);
    await expect(put('/none', [file('f')])).rejects.toMatchObject({ reason: 'not-found' });
    await expect(put('/new/deep/dst/f', [file('f')])).rejects.toMatchObject({ reason: 'invalid-argument' });
    await expect(put('/new', [file('deep')], { keepKinds: true })).rejects.toThrow('cannot overwrite directory');
    await expect(put('/out', [file('f')])).rejects.toMatchObject({ reason: 'not-found' });
    expect(layers.listCanary()).toEqual([CANARY_CONTENT]);
  });

  it('works on an overlay that no mount table has', async () => {
    const lower = await layers.unpack(buildTar([file('f', 'lower')]));
    const upper = join(layers.path, 'upper');
    const work = join(layers.path, 'work');
    await mkdir(upper);
    await mkdir(work);
    const spec = { kind: 'overlay', lowers: [lower.root], upper, work } as const;
    await layers.tools.putArchive(spec, '/', Readable.from([buildTar([file('g', 'new')])]), {}, layers.signal);
    expect(await readdir(upper)).toEqual(['g']);
    const both = await buffer(layers.tools.getArchive(spec, '/.', layers.signal));
    expect(execFileSync('tar', ['-tf', '-'], { input: both, encoding: 'utf8' }).trim().split('\n')).toEqual([
      './',
      './f',
      './g',
    ]);
    const view = await buffer(layers.tools.getArchive({ kind: 'overlay', lowers: [lower.root] }, '/f', layers.signal));
    expect(execFileSync('tar', ['-xOf', '-'], { input: view, encoding: 'utf8' })).toBe('lower');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(layers.path);
  });

  it('resolves users in a root', async () => {
    const { root } = await layers.unpack(buildTar([file('etc/passwd', 'ann:x:7:8::/:/bin/sh\n')]));
    expect(await layers.tools.resolveUser({ kind: 'directory', path: root }, 'ann', layers.signal)).toEqual({
      uid: 7,
      gid: 8,
    });
    await expect(layers.tools.resolveUser({ kind: 'directory', path: root }, 'bob', layers.signal)).rejects.toThrow(
      'no matching entries in passwd file',
    );
  });

  it('tells what the host offers', async () => {
    expect(await layers.tools.features(layers.signal)).toMatchObject({ openat2: true, clone3: true, seccomp: true });
  });
});
