import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask as request } from '../../testing/ask.ts';
import { type MadeImage, makeImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';

let registry: TestRegistry;
let image: MadeImage;
beforeAll(async () => {
  registry = await startRegistry();
  image = await makeImage();
});
afterAll(() => registry?.stop());

const ask = (method: string, path: string, init?: RequestInit) => request(registry.http, method, path, init);

describe('malformed input', () => {
  const x64 = 'f'.repeat(64);
  test.each([
    ['upper case', 'GET', '/v2/Upper/tags/list', 400, 'NAME_INVALID'],
    ['encoded dots', 'GET', '/v2/%2e%2e%2f%2e%2e/tags/list', 400, 'NAME_INVALID'],
    ['dots', 'GET', '/v2/a..b/tags/list', 400, 'NAME_INVALID'],
    ['two slashes', 'GET', '/v2/a//b/tags/list', 400, 'NAME_INVALID'],
    ['a name of 300', 'GET', `/v2/${'a'.repeat(300)}/tags/list`, 400, 'NAME_INVALID'],
    ['another script', 'GET', '/v2/caf%C3%A9/tags/list', 400, 'NAME_INVALID'],
    ['a digest with a path', 'GET', '/v2/a/blobs/sha256:..%2f..%2fetc', 400, 'DIGEST_INVALID'],
    ['a short digest', 'GET', '/v2/a/blobs/sha256:abc', 400, 'DIGEST_INVALID'],
    ['another algorithm', 'GET', `/v2/a/blobs/md5:${'a'.repeat(32)}`, 400, 'DIGEST_INVALID'],
    ['an upper case digest', 'GET', `/v2/a/blobs/sha256:${'A'.repeat(64)}`, 400, 'DIGEST_INVALID'],
    ['a tag with a bad character', 'GET', '/v2/a/manifests/a%20b', 400, 'TAG_INVALID'],
    ['a tag of 129', 'GET', `/v2/a/manifests/${'t'.repeat(129)}`, 400, 'TAG_INVALID'],
    ['a session id with a path', 'GET', '/v2/a/blobs/uploads/..%2f..%2fx', 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['an unknown session', 'PATCH', `/v2/a/blobs/uploads/${'0'.repeat(32)}`, 404, 'BLOB_UPLOAD_UNKNOWN'],
    ['an unknown blob', 'GET', `/v2/a/blobs/sha256:${x64}`, 404, 'BLOB_UNKNOWN'],
    ['an unknown manifest', 'GET', '/v2/a/manifests/latest', 404, 'MANIFEST_UNKNOWN'],
    ['an unknown repository', 'GET', '/v2/never/seen/tags/list', 404, 'NAME_UNKNOWN'],
    ['n that is no number', 'GET', '/v2/_catalog?n=NaN', 400, 'PAGINATION_NUMBER_INVALID'],
    ['n below zero', 'GET', '/v2/_catalog?n=-1', 400, 'PAGINATION_NUMBER_INVALID'],
    ['a method', 'POST', `/v2/a/blobs/sha256:${x64}`, 405, 'UNSUPPORTED'],
    ['a digest to upload', 'POST', '/v2/a/blobs/uploads/?digest=sha256:1', 400, 'DIGEST_INVALID'],
    ['a path outside', 'GET', '/etc/passwd', 404, 'NAME_UNKNOWN'],
  ])('%s', async (_name, method, path, status, code) => {
    const before = await readdir(registry.dataRoot);
    const got = await ask(method, path);
    expect([got.status, got.code]).toEqual([status, code]);
    expect(await readdir(registry.dataRoot)).toEqual(before);
  });

  test.each<[string, string | Buffer, string, number, string]>([
    ['no JSON', '{', OCI, 400, 'MANIFEST_INVALID'],
    ['a list', '[]', OCI, 400, 'MANIFEST_INVALID'],
    ['a key twice', '{"schemaVersion":2,"schemaVersion":2}', OCI, 400, 'MANIFEST_INVALID'],
    ['both kinds', '{"schemaVersion":2,"manifests":[],"layers":[]}', OCI, 400, 'MANIFEST_INVALID'],
    [
      'another type than stated',
      `{"schemaVersion":2,"mediaType":"${INDEX}","manifests":[]}`,
      OCI,
      400,
      'MANIFEST_INVALID',
    ],
    ['a prototype', '{"__proto__":{},"schemaVersion":2}', OCI, 400, 'MANIFEST_INVALID'],
    ['schema 1', '{"schemaVersion":1,"fsLayers":[]}', OCI, 400, 'MANIFEST_INVALID'],
    ['100 levels', `${'['.repeat(100)}${']'.repeat(100)}`, OCI, 400, 'MANIFEST_INVALID'],
    ['more than 4 MiB', Buffer.alloc(4 * 1024 * 1024 + 1, ' '), OCI, 413, 'SIZE_INVALID'],
    ['4 MiB of blanks', Buffer.alloc(4 * 1024 * 1024, ' '), OCI, 400, 'MANIFEST_INVALID'],
  ])('I17: manifest: %s', async (_name, body, type, status, code) => {
    const init = { body: typeof body === 'string' ? body : new Uint8Array(body), headers: { 'Content-Type': type } };
    const got = await ask('PUT', '/v2/bad/manifests/v1', init);
    expect([got.status, got.code]).toEqual([status, code]);
    expect((await ask('GET', '/v2/bad/manifests/v1')).status).toBe(404);
  });

  test('a manifest under another digest', async () => {
    const got = await ask('PUT', `/v2/bad/manifests/sha256:${x64}`, {
      body: new Uint8Array(image.manifest),
      headers: { 'Content-Type': image.mediaType },
    });
    expect(got.code).toBe('DIGEST_INVALID');
  });
});
