import { randomBytes } from 'node:crypto';
import type { imageV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { failureOf, printedLines } from '../../testing/calls.ts';
import { digestOf, type MadeImage, makeImage, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';
import { type Handler, respond, startUpstream, type Upstream } from '../../testing/upstream.ts';

const HOST = process.arch === 'x64' ? 'amd64' : process.arch;
const INDEX = 'application/vnd.oci.image.index.v1+json';

let other: TestRegistry;
let own: TestRegistry;
let images: Client<imageV1.ImageServiceService>;
let upstream: Upstream | undefined;
/** What the fake registry does now; tests set it. */
let play: Handler = (_request, response) => respond(response, 404);

beforeAll(async () => {
  other = await startRegistry();
  upstream = await startUpstream((request, response, url) => play(request, response, url));
  own = await startRegistry({
    ATOLL_REGISTRY_MIRRORS: `docker.io=${other.http},fake.example=${upstream.url}`,
    ATOLL_REGISTRY_NAMES: 'localhost:5000',
  });
  images = await own.images();
});
afterAll(async () => {
  await own?.stop();
  await other?.stop();
  await upstream?.stop();
});
afterEach(() => upstream?.seen.splice(0));

const pull = (reference: string, change: Partial<imageV1.PullImageRequest> = {}) =>
  printedLines(images.pullImage({ reference, platform: '', auth: undefined, allTags: false, ...change }));
const resolve = async (reference: string) => (await images.resolveImage({ reference })).image;
const short = (digest: string | undefined) => (digest ?? '').slice(7, 19);

/** Plays one repository with one image; `blob` may change how a layer is sent. */
function repository(image: MadeImage, blob: Handler = () => undefined): Handler {
  return async (request, response, url) => {
    if (/\/manifests\//.test(url.pathname)) {
      return respond(response, 200, image.manifest, { 'Content-Type': image.mediaType });
    }
    const digest = url.pathname.split('/').at(-1);
    if (digest === image.configDigest) return respond(response, 200, image.config);
    await blob(request, response, url);
    if (response.writableEnded || response.destroyed) return;
    respond(response, 200, image.layers.find((layer) => layer.digest === digest)?.bytes ?? '');
  };
}

describe('pull', () => {
  test('in docker words, layers known already, up to date', async () => {
    const image = await makeImage({ layers: [{ a: 'pull' }, { b: 'pull' }] });
    await pushImage(other.http, 'hello-world', 'latest', image);
    const [one, two] = image.layers.map((layer) => short(layer.digest));
    const first = await pull('hello-world');
    expect(first.slice(0, 3)).toEqual([
      'latest: Pulling from library/hello-world',
      `${one}: Pulling fs layer`,
      `${two}: Pulling fs layer`,
    ]);
    expect([...first].slice(3, -4).sort()).toEqual(
      [one, two].flatMap((id) => [`${id}: Verifying Checksum`, `${id}: Download complete`]).sort(),
    );
    expect([...first.slice(-4, -2)].sort()).toEqual([`${one}: Pull complete`, `${two}: Pull complete`].sort());
    expect(first.slice(-2)).toEqual([
      `Digest: ${image.manifestDigest}`,
      'Status: Downloaded newer image for hello-world:latest',
    ]);
    expect(await resolve('hello-world')).toMatchObject({
      id: image.configDigest,
      repoTags: ['hello-world:latest'],
      repoDigests: [`hello-world@${image.manifestDigest}`],
    });
    const again = await pull('hello-world');
    expect(again).toContain(`${one}: Already exists`);
    expect(again.at(-1)).toBe('Status: Image is up to date for hello-world:latest');
  });

  test('an index: the manifest of this platform, or of the one asked for', async () => {
    const mine = await makeImage({ layers: [{ p: 'mine' }] });
    const theirs = await makeImage({ layers: [{ p: 'theirs' }], architecture: 's390x' });
    const manifests = [theirs, mine].map((image, i) => ({
      mediaType: image.mediaType,
      digest: image.manifestDigest,
      size: image.manifest.length,
      platform: { os: 'linux', architecture: i === 0 ? 's390x' : HOST },
    }));
    for (const image of [mine, theirs]) await pushImage(other.http, 'multi/arch', image.manifestDigest, image);
    const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
    await fetch(`${other.http}/v2/multi/arch/manifests/v1`, {
      method: 'PUT',
      body: index,
      headers: { 'Content-Type': INDEX },
    });
    const said = await pull('multi/arch:v1');
    expect(said.at(-2)).toBe(`Digest: ${digestOf(Buffer.from(index))}`);
    expect((await resolve('multi/arch:v1'))?.id).toBe(mine.configDigest);
    expect((await resolve(`multi/arch@${digestOf(Buffer.from(index))}`))?.id).toBe(mine.configDigest);
    await pull('multi/arch:v1', { platform: 'linux/s390x' });
    expect((await resolve('multi/arch:v1'))?.id).toBe(theirs.configDigest);
    expect(await failureOf(pull('multi/arch:v1', { platform: 'linux/riscv64' }))).toBe(
      'no matching manifest for linux/riscv64 in the manifest list entries',
    );
  });

  test('all tags', async () => {
    for (const tag of ['x', 'y']) await pushImage(other.http, 'many', tag, await makeImage({ labels: { tag } }));
    await pull('many', { allTags: true });
    expect((await resolve('many:x'))?.labels['tag']).toBe('x');
    expect((await resolve('many:y'))?.labels['tag']).toBe('y');
  });

  test('what is not there', async () => {
    expect(await failureOf(pull('hello-world:none'))).toMatch(
      /^manifest for hello-world:none not found: manifest unknown: /,
    );
    expect(await failureOf(pull('fake.example/a:b'))).toBe(
      'manifest for fake.example/a:b not found: manifest unknown: manifest unknown',
    );
    expect(await failureOf(pull('127.0.0.1:1/a'))).toMatch(/cannot reach 127.0.0.1:1/);
  });

  test('a transfer that breaks goes on where it stopped', async () => {
    const image = await makeImage({ layers: [{ big: randomBytes(2_000_000) }] });
    const bytes = image.layers[0]?.bytes ?? Buffer.alloc(0);
    const starts: number[] = [];
    play = repository(image, (request, response) => {
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      starts.push(start);
      const headers = { 'Content-Range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
      if (start > 0) return respond(response, 206, bytes.subarray(start), headers);
      response.writeHead(200, { 'Content-Length': bytes.length });
      response.write(bytes.subarray(0, 1_000_000), () => response.socket?.end());
    });
    await pull('fake.example/resume');
    expect(starts[0]).toBe(0);
    expect(starts.at(-1)).toBeGreaterThan(0);
    expect((await resolve('fake.example/resume'))?.id).toBe(image.configDigest);
  });

  test('wrong bytes are refused and the name stays away', async () => {
    const image = await makeImage({ layers: [{ w: 'right' }] });
    const digest = image.layers[0]?.digest;
    play = repository(image, (_request, response) =>
      respond(response, 200, Buffer.alloc(image.layers[0]?.bytes.length ?? 0, 'x')),
    );
    expect(await failureOf(pull('fake.example/wrong'))).toBe(
      `filesystem layer verification failed for digest ${digest}`,
    );
    play = repository(image, (_request, response) => respond(response, 200, Buffer.alloc(10_000)));
    expect(await failureOf(pull('fake.example/wrong'))).toMatch(/more than the \d+ bytes its manifest says/);
    expect(await failureOf(resolve('fake.example/wrong'))).toMatch(/^No such image/);
  });

  test('a redirect to another host does not get the credentials', async () => {
    const image = await makeImage({ layers: [{ red: 'irect' }] });
    const store = await startUpstream((_request, response) => respond(response, 200, image.layers[0]?.bytes));
    const registry = await startUpstream((request, response, url) => {
      if (request.headers.authorization === undefined) {
        return respond(response, 401, '', { 'WWW-Authenticate': 'Basic realm="x"' });
      }
      return repository(image, (_request, answer) =>
        respond(answer, 307, '', { Location: `${store.url.replace('127.0.0.1', 'localhost')}/blob` }),
      )(request, response, url);
    });
    const auth = { username: 'u', password: 'p', identityToken: '', registryToken: '', serverAddress: '' };
    await pull(`${registry.host}/redirected`, { auth });
    expect(registry.seen.at(-1)?.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`);
    expect(store.seen.map((seen) => seen.authorization)).toEqual([undefined]);
    await registry.stop();
    await store.stop();
  });

  test('a token service: asked with the credentials, its token used', async () => {
    const image = await makeImage({ layers: [{ tok: 'en' }] });
    const registry: Upstream = await startUpstream((request, response, url) => {
      if (url.pathname === '/token') return respond(response, 200, JSON.stringify({ token: 'abc' }));
      if (request.headers.authorization !== 'Bearer abc') {
        const challenge = `Bearer realm="${registry.url}/token",service="s",scope="repository:tok:pull"`;
        return respond(response, 401, '', { 'WWW-Authenticate': challenge });
      }
      return repository(image)(request, response, url);
    });
    const auth = { username: 'u', password: 'p', identityToken: '', registryToken: '', serverAddress: '' };
    await pull(`${registry.host}/tok`, { auth });
    const asked = registry.seen.filter((seen) => seen.path.startsWith('/token'));
    expect(asked).toHaveLength(1);
    expect(asked[0]?.path).toBe('/token?service=s&scope=repository%3Atok%3Apull');
    expect(asked[0]?.authorization).toMatch(/^Basic /);
    await registry.stop();
  });

  test('a token service on another site gets no credentials; one that speaks neither http nor https gets no question', async () => {
    const image = await makeImage({ layers: [{ site: 'x' }] });
    const tokens = await startUpstream((_request, response) =>
      respond(response, 200, JSON.stringify({ token: 'abc' })),
    );
    let realm = tokens.url.replace('127.0.0.1', 'localhost');
    const registry = await startUpstream((request, response, url) => {
      if (request.headers.authorization !== 'Bearer abc') {
        return respond(response, 401, '', { 'WWW-Authenticate': `Bearer realm="${realm}"` });
      }
      return repository(image)(request, response, url);
    });
    const auth = { username: 'u', password: 'p', identityToken: '', registryToken: '', serverAddress: '' };
    await pull(`${registry.host}/site`, { auth });
    expect(tokens.seen.map((seen) => seen.authorization)).toEqual([undefined]);
    realm = 'file:///etc/passwd';
    expect(await failureOf(pull(`${registry.host}/site`, { auth }))).toMatch(/no https address/);
    await registry.stop();
    await tokens.stop();
  });

  test('the caller goes away: the pull ends', async () => {
    const image = await makeImage({ layers: [{ slow: randomBytes(1_000) }] });
    const abort = new AbortController();
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    play = repository(image, async (_request, response) => {
      response.once('close', () => closed());
      response.writeHead(200);
      response.write('x', () => abort.abort());
      await gone;
      response.destroy();
    });
    const request = { reference: 'fake.example/slow', platform: '', auth: undefined, allTags: false };
    expect(await failureOf(printedLines(images.pullImage(request, { signal: abort.signal })))).not.toBe('it worked');
    await gone;
  });
});
