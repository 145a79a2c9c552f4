import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startNats, type TestNats, testPki } from '@atoll/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digestOf, makeImage, pushBlob, pushImage } from './testing/make-image.ts';

interface Running {
  readonly http: string;
  readonly process: ChildProcess;
}

let nats: TestNats;
let root: string;
let running: Running;

beforeAll(async () => {
  nats = await startNats();
  root = await mkdtemp(join(tmpdir(), 'atoll-kill-'));
  const tls = await (await testPki()).identity('registry', 'registry-1');
  await writeFile(join(root, 'ca.pem'), tls.ca);
  await writeFile(join(root, 'cert.pem'), tls.cert);
  await writeFile(join(root, 'key.pem'), tls.key, { mode: 0o600 });
  running = await start();
}, 60_000);
afterAll(async () => {
  if (running !== undefined) await kill(running);
  await nats?.stop();
  if (root !== undefined) await rm(root, { recursive: true, force: true });
});

async function start(): Promise<Running> {
  const program = join(import.meta.dirname, 'testing/registry-process.ts');
  const child = spawn(process.execPath, ['--conditions=source', '--no-warnings', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ATOLL_LISTEN: '127.0.0.1:0',
      ATOLL_LISTEN_HTTP: '127.0.0.1:0',
      ATOLL_DATA_ROOT: join(root, 'data'),
      ATOLL_TLS_DIR: root,
      ATOLL_NATS_URL: nats.url,
      ATOLL_MIN_FREE_BYTES: '0',
    },
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error('the registry ended'))),
  ])) as [string];
  return { process: child, http: `http://127.0.0.1:${JSON.parse(line).httpPort}` };
}

async function kill({ process: child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

async function killAndStart(): Promise<void> {
  await kill(running);
  running = await start();
}

/** Sends the first part of a chunk and waits until the registry has it on the disk. */
async function sendHalf(location: string, bytes: Buffer, total: number): Promise<void> {
  const sending = request(running.http + location, { method: 'PATCH', headers: { 'Content-Length': total } });
  sending.on('error', () => undefined);
  sending.write(bytes);
  const uploads = join(root, 'data', 'uploads');
  for (let tries = 0; tries < 1000; tries += 1) {
    for (const name of await readdir(uploads)) if ((await stat(join(uploads, name))).size > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('nothing reached the disk');
}

const LONG_MS = 180_000;

describe('kill -9', { timeout: LONG_MS }, () => {
  test('in the middle of an upload: it goes on from what the registry says it has', async () => {
    const bytes = randomBytes(3 * 1024 * 1024);
    const begun = await fetch(`${running.http}/v2/killed/blobs/uploads/`, { method: 'POST' });
    const location = begun.headers.get('location') ?? '';
    await sendHalf(location, bytes.subarray(0, 2 * 1024 * 1024), bytes.length);
    await killAndStart();
    const status = await fetch(running.http + location);
    const have = Number(status.headers.get('range')?.slice(2)) + 1;
    expect(have).toBeGreaterThan(1);
    const rest = await fetch(running.http + location, {
      method: 'PATCH',
      body: new Uint8Array(bytes.subarray(have)),
      headers: { 'Content-Range': `${have}-${bytes.length - 1}` },
    });
    expect(rest.status).toBe(202);
    const put = await fetch(`${running.http + location}?digest=${digestOf(bytes)}`, { method: 'PUT' });
    expect(put.status).toBe(201);
    const got = await fetch(`${running.http}/v2/killed/blobs/${digestOf(bytes)}`);
    expect(Buffer.from(await got.arrayBuffer()).equals(bytes)).toBe(true);
  });

  test('at any moment of pushes: every blob on the disk is whole, what was acknowledged is there', async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      const pushing = Promise.allSettled(
        Array.from({ length: 12 }, async (_, i) => {
          const bytes = randomBytes(50_000 + i * 20_000);
          if ((await pushBlob(running.http, 'any', bytes)).status === 201) acknowledged.push(digestOf(bytes));
          const image = await makeImage({ labels: { round: `${round}`, i: `${i}` } });
          if ((await pushImage(running.http, 'any', `t${round}-${i}`, image)) === 201)
            acknowledged.push(image.manifestDigest);
        }),
      );
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 35));
      await killAndStart();
      await pushing;
    }
    const folder = join(root, 'data', 'blobs', 'sha256');
    for (const prefix of await readdir(folder)) {
      for (const hex of await readdir(join(folder, prefix))) {
        const path = join(folder, prefix, hex);
        expect(digestOf(await readFile(path))).toBe(`sha256:${hex}`);
      }
    }
    for (const digest of acknowledged) {
      const [blob, manifest] = await Promise.all(
        ['blobs', 'manifests'].map((kind) => fetch(`${running.http}/v2/any/${kind}/${digest}`)),
      );
      expect([blob?.status, manifest?.status], digest).toContain(200);
    }
  });
});
