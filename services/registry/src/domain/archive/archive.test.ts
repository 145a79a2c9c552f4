import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { failureOf, ImageCalls, NO_USE } from '../../testing/calls.ts';
import { bytesOf, digestOf, makeImage, makeTar, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';

let registry: TestRegistry;
let calls: ImageCalls;
beforeAll(async () => {
  registry = await startRegistry();
  calls = new ImageCalls(await registry.images());
});
afterAll(() => registry?.stop());
beforeEach(() => calls.removeAll());

describe('save and load', () => {
  test.each([
    ['plain', (bytes: Buffer) => bytes],
    ['gzip', (bytes: Buffer) => gzipSync(bytes)],
    ['zstd', (bytes: Buffer) => zstdCompressSync(bytes)],
  ])('an image comes back as it went: %s', async (_name, compress) => {
    const made = await makeImage({ layers: [{ a: 'x'.repeat(400_000) }, { b: '2' }] });
    await pushImage(registry.http, 'sv', 'v1', made);
    const archive = compress(await calls.save('sv:v1'));
    await calls.images.removeImage({ ...NO_USE, reference: 'sv:v1' });
    const said = await calls.load(archive);
    expect(said.at(-1)).toBe('Loaded image: sv:v1\n');
    expect(await calls.resolve('sv:v1')).toMatchObject({ id: made.configDigest, manifestDigest: made.manifestDigest });
  });

  test('all tags of a repository, and an image without one', async () => {
    await calls.importTar('multi', await makeTar({ f: '1' }));
    await calls.images.tagImage({ source: 'multi', target: 'multi:two' });
    const id = await calls.importTar('', await makeTar({ f: '3' }));
    const archive = await calls.save('multi', id);
    for (const reference of ['multi:two', 'multi', id]) await calls.images.removeImage({ ...NO_USE, reference });
    const said = await calls.load(archive);
    expect(said).toEqual(['Loaded image: multi:latest\n', 'Loaded image: multi:two\n', `Loaded image ID: ${id}\n`]);
  });

  test('I20: the old form of docker save, with a link for a layer and an id that lies', async () => {
    const tar = await makeTar({ f: 'legacy' });
    const config = {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [digestOf(tar), digestOf(tar)] },
    };
    const archive = pack();
    archive.entry({ name: 'one/layer.tar' }, tar);
    archive.entry({ name: 'two/layer.tar', type: 'symlink', linkname: '../one/layer.tar' });
    archive.entry({ name: `${'0'.repeat(64)}.json` }, JSON.stringify(config));
    archive.entry(
      { name: 'manifest.json' },
      JSON.stringify([
        { Config: `${'0'.repeat(64)}.json`, RepoTags: ['old:1'], Layers: ['one/layer.tar', 'two/layer.tar'] },
      ]),
    );
    await calls.load(await bytesOf(archive));
    expect(await calls.resolve('old:1')).toMatchObject({ id: digestOf(Buffer.from(JSON.stringify(config))) });
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['no manifest', { 'a.txt': 'x' }, /neither manifest.json .* nor index.json/],
    ['a layer that is missing', { 'c.json': CONFIG_OF('x'), 'manifest.json': MANIFEST(['l.tar']) }, /no file "l.tar"/],
    [
      'another layer than stated',
      { 'c.json': CONFIG_OF('x'), 'l.tar': 'y', 'manifest.json': MANIFEST(['l.tar']) },
      /invalid diffID for layer 0/,
    ],
    [
      'the wrong number of layers',
      { 'c.json': CONFIG_OF('x'), 'manifest.json': MANIFEST([]) },
      /layers length mismatch: expected 1, got 0/,
    ],
    ['a path outside', { 'c.json': CONFIG_OF('x'), 'manifest.json': MANIFEST(['../../../../etc/passwd']) }, /no file/],
    [
      'a hostile tag',
      { 'c.json': CONFIG_OF('x'), 'l.tar': 'x', 'manifest.json': MANIFEST(['l.tar'], '../../x:1') },
      /invalid reference format/,
    ],
    [
      'a config outside',
      { 'l.tar': 'x', 'manifest.json': '[{"Config":"/etc/passwd","RepoTags":[],"Layers":["l.tar"]}]' },
      /no file/,
    ],
    [
      'hostile repositories and nothing else',
      { repositories: '{"../../x":{"latest":"../../../etc"}}' },
      /neither manifest.json .* nor index.json/,
    ],
    [
      'a config of 50 MB',
      { 'c.json': ' '.repeat(50_000_000), 'l.tar': 'x', 'manifest.json': MANIFEST(['l.tar']) },
      /large|bytes|limit|MiB/,
    ],
    ['a key twice', { 'manifest.json': '[{"Config":"a","Config":"b"}]' }, /appears twice/],
  ])('I20: refused: %s', async (_name, files, message) => {
    expect(await failureOf(calls.load(await makeTar(files)))).toMatch(message);
  });

  test.each(['/etc/passwd', '../../../../../../etc/passwd', 'l.tar', 'missing'])(
    'I20: a layer that is a link to %s is none',
    async (linkname) => {
      const archive = pack();
      archive.entry({ name: 'c.json' }, CONFIG_OF('x'));
      archive.entry({ name: 'l.tar', type: 'symlink', linkname });
      archive.entry({ name: 'manifest.json' }, MANIFEST(['l.tar']));
      expect(await failureOf(calls.load(await bytesOf(archive)))).toMatch(/no file|link/);
    },
  );

  test('I20: an archive that ends early is refused', async () => {
    const tar = await makeTar({ 'a.txt': 'x'.repeat(10_000) });
    expect(await failureOf(calls.load(tar.subarray(0, 5_000)))).toMatch(/no tar|Unexpected/);
    expect(await failureOf(calls.load(gzipSync(tar).subarray(0, 60)))).toMatch(/damaged|no tar/);
  });

  test('an unknown image is not found before anything is sent', async () => {
    expect(await failureOf(calls.save('nosuch'))).toBe('No such image: nosuch:latest');
  });
});

function CONFIG_OF(layer: string): string {
  const diff_ids = [digestOf(Buffer.from(layer))];
  return JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids } });
}

function MANIFEST(layers: string[], tag = 'x:1'): string {
  return JSON.stringify([{ Config: 'c.json', RepoTags: [tag], Layers: layers }]);
}
