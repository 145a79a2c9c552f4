import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { failedPrecondition } from '@atoll/errors';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeImage, pushImage } from './testing/make-image.ts';
import { startRegistry, type TestRegistry } from './testing/start-registry.ts';

const BINARY = '/usr/bin/skopeo';
let registry: TestRegistry;
let host: string;
let dir: string;

beforeAll(async () => {
  if (!existsSync(BINARY)) throw failedPrecondition('skopeo is missing, these tests need it: apt-get install skopeo');
  registry = await startRegistry();
  host = registry.http.replace('http://', '');
});
afterAll(() => registry?.stop());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-skopeo-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function skopeo(...args: string[]): Promise<string> {
  const policy = ['--insecure-policy', '--tmpdir', dir];
  const { stdout } = await promisify(execFile)(BINARY, [...policy, ...args], {
    env: { HOME: dir, PATH: '/usr/bin:/bin' },
  });
  return stdout;
}

const copy = (from: string, to: string, ...flags: string[]) =>
  skopeo(
    'copy',
    '--quiet',
    '--preserve-digests',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    ...flags,
    from,
    to,
  );

async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const name of (await readdir(folder)).sort()) files[name] = await readFile(join(folder, name));
  return files;
}

async function savedTo(path: string, ...references: string[]): Promise<void> {
  const images = await registry.images();
  const chunks: Buffer[] = [];
  for await (const { data } of images.saveImages({ references })) chunks.push(data);
  await writeFile(path, Buffer.concat(chunks));
}

describe('skopeo', { timeout: 120_000 }, () => {
  test.each([
    ['docker', false],
    ['OCI', true],
  ])('pushes and pulls bit for bit: %s', async (name, oci) => {
    const image = await makeImage({ layers: [{ a: 'x'.repeat(300_000) }, { b: '2' }], oci });
    const repository = `skopeo/${name.toLowerCase()}`;
    await pushImage(registry.http, `${repository}-source`, 'v1', image);
    await copy(`docker://${host}/${repository}-source:v1`, `dir:${join(dir, 'one')}`);
    await copy(`dir:${join(dir, 'one')}`, `docker://${host}/${repository}:v2`);
    await copy(`docker://${host}/${repository}:v2`, `dir:${join(dir, 'two')}`);
    expect(await filesOf(join(dir, 'two'))).toEqual(await filesOf(join(dir, 'one')));
    expect((await readFile(join(dir, 'two', 'manifest.json'))).equals(image.manifest)).toBe(true);
    const found = JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${host}/${repository}:v2`));
    expect([found.Digest, found.RepoTags]).toEqual([image.manifestDigest, ['v2']]);
  });

  test('pushes an index with all its images', async () => {
    const images = await Promise.all(['amd64', 'arm64'].map((architecture) => makeImage({ architecture, oci: true })));
    for (const image of images) await pushImage(registry.http, 'skopeo/parts', image.manifestDigest, image);
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: images.map((image, i) => ({
        mediaType: image.mediaType,
        digest: image.manifestDigest,
        size: image.manifest.length,
        platform: { os: 'linux', architecture: i === 0 ? 'amd64' : 'arm64' },
      })),
    });
    await fetch(`${registry.http}/v2/skopeo/parts/manifests/all`, {
      method: 'PUT',
      body: index,
      headers: { 'Content-Type': 'application/vnd.oci.image.index.v1+json' },
    });
    await copy(`docker://${host}/skopeo/parts:all`, `docker://${host}/skopeo/whole:all`, '--all');
    const got = await fetch(`${registry.http}/v2/skopeo/whole/manifests/all`);
    expect(await got.text()).toBe(index);
    const here = images[process.arch === 'arm64' ? 1 : 0];
    const { image } = await (await registry.images()).resolveImage({ reference: 'skopeo/whole:all' });
    expect(image?.id).toBe(here?.configDigest);
  });

  test.each([
    ['docker', false],
    ['OCI', true],
  ])('reads what save writes, as docker-archive and as oci-archive: %s', async (name, oci) => {
    const made = await makeImage({ layers: [{ s: 'ave' }, { t: name }], oci });
    await pushImage(registry.http, 'saved', 'v1', made);
    const archive = join(dir, 'saved.tar');
    await savedTo(archive, 'saved:v1');
    for (const kind of ['docker-archive', 'oci-archive']) {
      const config = await skopeo('inspect', '--config', '--raw', `${kind}:${archive}`);
      expect(config, kind).toBe(made.config.toString());
      await skopeo('copy', '--quiet', `${kind}:${archive}`, `${oci ? 'oci' : 'dir'}:${join(dir, kind)}`);
    }
    const hex = made.manifestDigest.slice('sha256:'.length);
    const manifest = await readFile(join(dir, 'oci-archive', oci ? `blobs/sha256/${hex}` : 'manifest.json'));
    expect(manifest.equals(made.manifest)).toBe(true);
  });

  test.each(['docker-archive', 'oci-archive'])('what it writes can be loaded: %s', async (kind) => {
    const made = await makeImage({ layers: [{ l: kind }] });
    await pushImage(registry.http, 'origin', kind, made);
    const archive = join(dir, 'written.tar');
    await skopeo(
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      `docker://${host}/origin:${kind}`,
      `${kind}:${archive}:loaded/by:${kind}`,
    );
    const images = await registry.images();
    const file = await readFile(archive);
    async function* data() {
      for (let at = 0; at < file.length; at += 65_536) yield { data: file.subarray(at, at + 65_536) };
    }
    const said: string[] = [];
    for await (const { progress } of images.loadImages(data())) if (progress?.stream) said.push(progress.stream);
    expect(said.at(-1)).toBe(`Loaded image: loaded/by:${kind}\n`);
    const { image } = await images.resolveImage({ reference: `loaded/by:${kind}` });
    expect(image?.layers.map((layer) => layer.diffId)).toEqual(made.layers.map((layer) => layer.diffId));
  });
});
