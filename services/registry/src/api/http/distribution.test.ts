import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytesOfText, ask as request } from '../../testing/ask.ts';
import { digestOf, type MadeImage, makeImage, pushBlob, pushImage } from '../../testing/make-image.ts';
import { startRegistry, type TestRegistry } from '../../testing/start-registry.ts';

let registry: TestRegistry;
let base: string;
let image: MadeImage;
beforeAll(async () => {
  registry = await startRegistry();
  base = registry.http;
  image = await makeImage({ layers: [{ a: 'x'.repeat(5_000) }, { b: '2' }] });
});
afterAll(() => registry?.stop());

const ask = (method: string, path: string, init?: RequestInit) => request(base, method, path, init);

async function begin(name: string): Promise<string> {
  const { headers } = await ask('POST', `/v2/${name}/blobs/uploads/`);
  return headers.get('location') ?? '';
}

describe('base', () => {
  test('/v2/ names the version', async () => {
    const { status, headers } = await ask('GET', '/v2/');
    expect([status, headers.get('docker-distribution-api-version')]).toEqual([200, 'registry/2.0']);
  });
});

describe('push', () => {
  test('in one request, in two, and in chunks', async () => {
    const one = Buffer.from('one');
    expect((await pushBlob(base, 'push', one)).status).toBe(201);

    const two = Buffer.from('two');
    const put = await ask('PUT', `${await begin('push')}?digest=${digestOf(two)}`, { body: new Uint8Array(two) });
    expect([put.status, put.headers.get('docker-content-digest')]).toEqual([201, digestOf(two)]);

    const location = await begin('push');
    const first = await ask('PATCH', location, { body: bytesOfText('thr'), headers: { 'Content-Range': '0-2' } });
    expect([first.status, first.headers.get('range')]).toEqual([202, '0-2']);
    const status = await ask('GET', location);
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-2']);
    const second = await ask('PATCH', location, { body: bytesOfText('ee'), headers: { 'Content-Range': '3-4' } });
    expect([second.status, second.headers.get('range')]).toEqual([202, '0-4']);
    const three = digestOf(Buffer.from('three'));
    const last = await ask('PUT', `${location}?digest=${three}`);
    expect([last.status, last.headers.get('location')]).toEqual([201, `/v2/push/blobs/${three}`]);
    expect((await ask('GET', `/v2/push/blobs/${three}`)).body.toString()).toBe('three');
  });

  test.each([
    ['a gap', '5-7', '0-2'],
    ['an overlap', '1-3', '0-2'],
    ['another length', '3-9', '0-2'],
    ['nonsense', 'x', '0-2'],
  ])('a chunk out of order is refused and the session goes on: %s', async (_name, contentRange, range) => {
    const location = await begin('push');
    await ask('PATCH', location, { body: bytesOfText('abc') });
    const wrong = await ask('PATCH', location, {
      body: bytesOfText('def'),
      headers: { 'Content-Range': contentRange },
    });
    expect([wrong.status, wrong.code, wrong.headers.get('range')]).toEqual([416, 'BLOB_UPLOAD_INVALID', range]);
    await ask('PATCH', location, { body: bytesOfText('def'), headers: { 'Content-Range': '3-5' } });
    const put = await ask('PUT', `${location}?digest=${digestOf(Buffer.from('abcdef'))}`);
    expect(put.status).toBe(201);
  });

  test('wrong bytes end the session and leave nothing', async () => {
    const location = await begin('push');
    const digest = digestOf(Buffer.from('something else'));
    const put = await ask('PUT', `${location}?digest=${digest}`, { body: bytesOfText('wrong') });
    expect([put.status, put.code]).toEqual([400, 'DIGEST_INVALID']);
    expect((await ask('GET', location)).code).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await ask('HEAD', `/v2/push/blobs/${digest}`)).status).toBe(404);
    expect(await readdir(join(registry.dataRoot, 'uploads'))).toEqual([]);
  });

  test('a cancelled session and one of another repository are unknown', async () => {
    const location = await begin('push');
    expect((await ask('GET', location.replace('/push/', '/other/'))).code).toBe('BLOB_UPLOAD_UNKNOWN');
    expect((await ask('DELETE', location)).status).toBe(204);
    expect((await ask('PATCH', location, { body: bytesOfText('x') })).code).toBe('BLOB_UPLOAD_UNKNOWN');
  });

  test('the same blob from many pushers at once', async () => {
    const bytes = Buffer.alloc(300_000, 'same');
    const answers = await Promise.all(Array.from({ length: 20 }, () => pushBlob(base, 'same', bytes)));
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([201]));
    expect((await ask('GET', `/v2/same/blobs/${digestOf(bytes)}`)).body.equals(bytes)).toBe(true);
  });

  test('mounting works from a repository that has the blob, else an upload begins', async () => {
    const bytes = Buffer.from('mounted');
    const digest = digestOf(bytes);
    await pushBlob(base, 'source', bytes);
    const mounted = await ask('POST', `/v2/target/blobs/uploads/?mount=${digest}&from=source`);
    expect([mounted.status, mounted.headers.get('location')]).toEqual([201, `/v2/target/blobs/${digest}`]);
    expect((await ask('GET', `/v2/target/blobs/${digest}`)).body.equals(bytes)).toBe(true);
    expect((await ask('POST', `/v2/third/blobs/uploads/?mount=${digest}&from=stranger`)).status).toBe(202);
    expect((await ask('HEAD', `/v2/third/blobs/${digest}`)).status).toBe(404);
  });
});

describe('pull', () => {
  const content = Buffer.from('0123456789');
  const path = `/v2/ranges/blobs/${digestOf(content)}`;
  beforeAll(() => pushBlob(base, 'ranges', content));

  test.each([
    ['whole', undefined, 200, '0123456789', null],
    ['from the start', 'bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['to the end', 'bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['the last ones', 'bytes=-2', 206, '89', 'bytes 8-9/10'],
    ['more than there is', 'bytes=5-100', 206, '56789', 'bytes 5-9/10'],
    ['another unit', 'lines=1-2', 200, '0123456789', null],
  ])('%s', async (_name, range, status, body, contentRange) => {
    const got = await ask('GET', path, range === undefined ? {} : { headers: { Range: range } });
    expect([got.status, got.body.toString(), got.headers.get('content-range')]).toEqual([status, body, contentRange]);
    expect(got.headers.get('docker-content-digest')).toBe(digestOf(content));
  });

  test.each([
    ['bytes=10-'],
    ['bytes=4-2'],
    ['bytes=x'],
    ['bytes=0-1,3-4'],
    ['bytes=-0'],
    [`bytes=${'0-1,'.repeat(1000)}0-1`],
  ])('refused: %s', async (range) => {
    const got = await ask('GET', path, { headers: { Range: range } });
    expect([got.status, got.headers.get('content-range')]).toEqual([416, 'bytes */10']);
  });

  test('what the client has is not sent again', async () => {
    const got = await ask('GET', path, { headers: { 'If-None-Match': `"${digestOf(content)}"` } });
    expect([got.status, got.body.length]).toEqual([304, 0]);
  });

  test('HEAD tells the size', async () => {
    const got = await ask('HEAD', path);
    expect([got.status, got.headers.get('content-length')]).toEqual([200, '10']);
  });
});

describe('manifests', () => {
  test('by tag and by digest, byte for byte', async () => {
    expect(await pushImage(base, 'm/one', 'v1', image)).toBe(201);
    for (const reference of ['v1', image.manifestDigest]) {
      const got = await ask('GET', `/v2/m/one/manifests/${reference}`);
      expect(got.body.equals(image.manifest)).toBe(true);
      expect(got.headers.get('content-type')).toBe(image.mediaType);
      expect(got.headers.get('docker-content-digest')).toBe(image.manifestDigest);
      const head = await ask('HEAD', `/v2/m/one/manifests/${reference}`);
      expect([head.status, head.headers.get('content-length')]).toEqual([200, String(image.manifest.length)]);
    }
  });

  test('a repository without the link has neither blob nor manifest', async () => {
    await pushImage(base, 'm/one', 'v1', image);
    expect((await ask('GET', `/v2/m/two/manifests/${image.manifestDigest}`)).code).toBe('MANIFEST_UNKNOWN');
    expect((await ask('GET', `/v2/m/two/blobs/${image.configDigest}`)).code).toBe('BLOB_UNKNOWN');
  });

  test('deleted by tag, by digest, and a blob no manifest needs', async () => {
    await pushImage(base, 'm/del', 'v1', image);
    await pushImage(base, 'm/del', 'v2', image);
    expect((await ask('DELETE', '/v2/m/del/manifests/v1')).status).toBe(202);
    expect((await ask('GET', '/v2/m/del/manifests/v1')).status).toBe(404);
    const blob = `/v2/m/del/blobs/${image.configDigest}`;
    expect((await ask('DELETE', blob)).code).toBe('UNSUPPORTED');
    expect((await ask('DELETE', `/v2/m/del/manifests/${image.manifestDigest}`)).status).toBe(202);
    expect((await ask('GET', '/v2/m/del/manifests/v2')).status).toBe(404);
    const loose = Buffer.from('loose');
    await pushBlob(base, 'm/del', loose);
    expect((await ask('DELETE', `/v2/m/del/blobs/${digestOf(loose)}`)).status).toBe(202);
    expect((await ask('GET', `/v2/m/del/blobs/${digestOf(loose)}`)).status).toBe(404);
  });

  test('referrers of a subject, filtered by type', async () => {
    await pushImage(base, 'm/ref', 'v1', image);
    const empty = Buffer.from('{}');
    await pushBlob(base, 'm/ref', empty);
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(empty), size: 2 };
    const subject = { mediaType: image.mediaType, digest: image.manifestDigest, size: image.manifest.length };
    for (const artifactType of ['application/a', 'application/b']) {
      const manifest = {
        schemaVersion: 2,
        mediaType: OCI,
        artifactType,
        config,
        layers: [],
        subject,
        annotations: { k: 'v' },
      };
      const bytes = Buffer.from(JSON.stringify(manifest));
      const put = await ask('PUT', `/v2/m/ref/manifests/${digestOf(bytes)}`, {
        body: new Uint8Array(bytes),
        headers: { 'Content-Type': OCI },
      });
      expect([put.status, put.headers.get('oci-subject')]).toEqual([201, image.manifestDigest]);
    }
    const all = JSON.parse((await ask('GET', `/v2/m/ref/referrers/${image.manifestDigest}`)).body.toString());
    expect(all.manifests).toHaveLength(2);
    const some = await ask('GET', `/v2/m/ref/referrers/${image.manifestDigest}?artifactType=application/a`);
    expect(some.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(JSON.parse(some.body.toString()).manifests).toMatchObject([
      { artifactType: 'application/a', annotations: { k: 'v' } },
    ]);
    const none = await ask('GET', `/v2/m/ref/referrers/${digestOf(empty)}`);
    expect(JSON.parse(none.body.toString()).manifests).toEqual([]);
  });

  test('an index needs its manifests first', async () => {
    await pushImage(base, 'm/idx', 'amd', image);
    const child = { mediaType: image.mediaType, digest: image.manifestDigest, size: image.manifest.length };
    const put = (manifests: object[]) =>
      ask('PUT', '/v2/m/idx/manifests/all', {
        body: JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }),
        headers: { 'Content-Type': INDEX },
      });
    const stranger = { ...child, digest: digestOf(Buffer.from('x')) };
    expect((await put([child, stranger])).code).toBe('MANIFEST_BLOB_UNKNOWN');
    expect((await put([child])).status).toBe(201);
  });

  test('fifty pushers of one tag: readers always see one of the manifests', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, (_, i) => makeImage({ labels: { i: String(i) } })));
    const digests = new Set(made.map((one) => one.manifestDigest));
    await pushImage(base, 'm/race', 'v', made[0] as MadeImage);
    let done = false;
    const pushing = Promise.all(
      Array.from({ length: 50 }, (_, i) => pushImage(base, 'm/race', 'v', made[i % made.length] as MadeImage)),
    ).finally(() => {
      done = true;
    });
    while (!done) {
      const got = await ask('GET', '/v2/m/race/manifests/v');
      expect(digests.has(digestOf(got.body))).toBe(true);
    }
    expect(new Set(await pushing)).toEqual(new Set([201]));
  });
});

const OCI = 'application/vnd.oci.image.manifest.v1+json';
const INDEX = 'application/vnd.oci.image.index.v1+json';

describe('a client', () => {
  test('that goes away in the middle leaves what it sent, and the session goes on', async () => {
    const location = await begin('cut');
    const { hostname, port } = new URL(base);
    const socket = connect(Number(port), hostname);
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc`);
    let range: string | null = null;
    for (let tries = 0; tries < 200 && range === null; tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      if (tries === 5) socket.destroy();
      const got = await ask('GET', location);
      if (got.headers.get('range') === '0-2') range = '0-2';
    }
    expect(range).toBe('0-2');
    const put = await ask('PUT', `${location}?digest=${digestOf(Buffer.from('abcdef'))}`, {
      body: bytesOfText('def'),
      headers: { 'Content-Range': '3-5' },
    });
    expect(put.status).toBe(201);
  });
});

test('sessions and names are there after a restart', async () => {
  await pushImage(base, 'again', 'v', image);
  const location = await begin('again');
  await ask('PATCH', location, { body: bytesOfText('abc') });
  await registry.restart();
  base = registry.http;
  expect((await ask('GET', '/v2/again/manifests/v')).body.equals(image.manifest)).toBe(true);
  expect((await ask('GET', location)).headers.get('range')).toBe('0-2');
  await ask('PATCH', location, { body: bytesOfText('def'), headers: { 'Content-Range': '3-5' } });
  expect((await ask('PUT', `${location}?digest=${digestOf(Buffer.from('abcdef'))}`)).status).toBe(201);
});
