import type { imageV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { failureOf, printedLines } from '../../testing/calls.ts';
import { makeImage, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';
import { type Handler, respond, startUpstream, type Upstream } from '../../testing/upstream.ts';

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
const push = (reference: string, auth?: imageV1.RegistryAuth) => printedLines(images.pushImage({ reference, auth }));
const resolve = async (reference: string) => (await images.resolveImage({ reference })).image;
const short = (digest: string | undefined) => (digest ?? '').slice(7, 19);

describe('push', () => {
  test('in docker words; layers there already, mounted and pushed', async () => {
    const base = other.http.replace('http://', '');
    const image = await makeImage({ layers: [{ a: 'push' }, { b: 'push' }] });
    await pushImage(own.http, 'pushed', 'v1', image);
    await images.tagImage({ source: 'pushed:v1', target: `${base}/team/app:v1` });
    const ids = image.layers.map((layer) => short(layer.diffId)).reverse();
    const size = image.manifest.length;
    const tail = [
      `v1: digest: ${image.manifestDigest} size: ${size}`,
      JSON.stringify({ Tag: 'v1', Digest: image.manifestDigest, Size: size }),
    ];
    expect(await push(`${base}/team/app:v1`)).toEqual([
      `The push refers to repository [${base}/team/app]`,
      ...ids.map((id) => `${id}: Preparing`),
      ...ids.map((id) => `${id}: Pushed`),
      ...tail,
    ]);
    const got = await fetch(`${other.http}/v2/team/app/manifests/v1`);
    expect(Buffer.from(await got.arrayBuffer()).equals(image.manifest)).toBe(true);
    expect((await push(`${base}/team/app:v1`)).slice(3, 5)).toEqual(ids.map((id) => `${id}: Layer already exists`));
    await images.tagImage({ source: 'pushed:v1', target: `${base}/team/copy:v1` });
    expect((await push(`${base}/team/copy`)).slice(3, 5)).toEqual(ids.map((id) => `${id}: Mounted from team/app`));
    expect((await resolve('pushed:v1'))?.repoDigests).toContain(`${base}/team/app@${image.manifestDigest}`);
  });

  test('what is not there', async () => {
    expect(await failureOf(push('nosuch'))).toBe('An image does not exist locally with the tag: nosuch');
    await pushImage(own.http, 'there', 'v1', await makeImage());
    expect(await failureOf(push(`there@sha256:${'0'.repeat(64)}`))).toBe('cannot push a digest reference');
    expect(await failureOf(push('there:v2'))).toBe('tag does not exist: there:v2');
  });

  test('a registry that refuses', async () => {
    play = (_request, response) =>
      respond(response, 403, JSON.stringify({ errors: [{ code: 'DENIED', message: 'not for you' }] }));
    await images.tagImage({ source: (await resolve('there:v1'))?.id ?? '', target: 'fake.example/no:1' });
    expect(await failureOf(push('fake.example/no:1'))).toBe('denied: not for you');
  });
});

describe("the cluster's own registry", () => {
  test('push and pull of its name stay in the store', async () => {
    const image = await makeImage({ layers: [{ o: 'own' }] });
    await pushImage(own.http, 'app', 'v1', image);
    const said = await pull('localhost:5000/app:v1');
    expect(said).toContain(`${short(image.layers[0]?.digest)}: Already exists`);
    expect((await resolve('localhost:5000/app:v1'))?.id).toBe(image.configDigest);
    await images.tagImage({ source: 'app:v1', target: 'localhost:5000/team/new:v2' });
    await push('localhost:5000/team/new:v2');
    const got = await fetch(`${own.http}/v2/team/new/manifests/v2`);
    expect(got.headers.get('docker-content-digest')).toBe(image.manifestDigest);
    expect(await failureOf(pull('localhost:5000/app:v9'))).toMatch(/^manifest for localhost:5000\/app:v9 not found/);
  });
});
