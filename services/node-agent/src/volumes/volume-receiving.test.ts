import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { nodeV1, volumeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from '../processes/failpoint.ts';
import { buildShim } from '../runtime/testing/shim-binary.ts';
import { VolumeTools } from '../runtime/volume-tools.ts';
import { TestHost } from '../testing/test-host.ts';
import { VolumeReceiving } from './volume-receiving.ts';

const A = nodeV1.Action;
const PIECE = 100_000;

let host: TestHost;
let archive: Buffer;
let content: Buffer;
beforeAll(async () => {
  host = await TestHost.create();
  content = randomBytes(3_000_000);
  await mkdir(path('origin'), { recursive: true });
  await writeFile(join(path('origin'), 'f'), content);
  const parts: Buffer[] = [];
  for await (const part of data().readVolume(volumeV1.ReadVolumeRequest.fromPartial({ name: 'origin', labels: {} })))
    parts.push(part.data);
  archive = Buffer.concat(parts);
}, 60_000);
afterAll(async () => {
  await host?.dispose();
});

const operation = (): string => randomBytes(16).toString('hex');
const data = () => host.channel.client(volumeV1.VolumeDataServiceService);
const path = (volume: string): string => join(host.dataRoot, 'volumes', volume, '_data');
const copies = (): Promise<string[]> => readdir(join(host.dataRoot, 'volume-copies'));
const until = (check: () => boolean | Promise<boolean>): Promise<void> =>
  expect.poll(check, { timeout: 20_000 }).toBe(true);
const suspend = async (id: string): Promise<number> => Number((await data().suspendWrite({ operation: id })).offset);
const end = (id: string): Promise<unknown> =>
  host.scheduler.order({ action: A.END_VOLUME, volumeOrder: nodeV1.VolumeOrder.fromPartial({ operation: id }) });

/** Brings what is behind the offset, up to `to`; then it ends, or goes on without a word until it is cut. */
function bring(
  start: Partial<volumeV1.WriteVolumeStart>,
  { from = archive, to = from.length, signal }: { from?: Buffer; to?: number; signal?: AbortSignal } = {},
): Promise<volumeV1.WriteVolumeResponse> {
  const value = volumeV1.WriteVolumeStart.fromPartial({ resumable: true, ...start });
  const requests = async function* (): AsyncGenerator<volumeV1.WriteVolumeRequest> {
    yield { message: { $case: 'start', value } };
    for (let at = Number(value.offset); at < to; at += PIECE)
      yield { message: { $case: 'data', value: from.subarray(at, Math.min(at + PIECE, to)) } };
    if (to < from.length) await new Promise(() => undefined);
    yield { message: { $case: 'end', value: {} } };
  };
  return data().writeVolume(requests(), signal && { signal });
}

/** The process that unpacks it. */
async function helperOf(id: string): Promise<number> {
  for (const pid of await readdir('/proc')) {
    const line = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : '';
    if (line.includes(`volume-copies/${id}/`)) return Number(pid);
  }
  throw new Error('no helper');
}

/** One that was cut when the host had so much of it; what it says then is how it goes on. */
async function cut(name: string, id: string, to: number, from = archive): Promise<void> {
  const life = new AbortController();
  const outcome = bring({ name, operation: id }, { from, to, signal: life.signal }).catch((error: unknown) => error);
  await until(() => existsSync(join(host.dataRoot, 'volume-copies', id)));
  life.abort(new Error('cut'));
  await outcome;
  // The agent hears of it a moment later.
  await until(async () => (await suspend(id).catch(() => -1)) >= 0);
}

describe('an archive whose call was cut', { timeout: 60_000 }, () => {
  test.each([
    ['plain', () => archive],
    ['gzip', () => gzipSync(archive)],
    ['zstd', () => zstdCompressSync(archive)],
  ])('%s: goes on behind what came, through several calls', async (name, of) => {
    const from = of();
    const id = operation();
    await cut(name, id, 500_000, from);
    const offset = await suspend(id);
    expect(offset).toBeLessThanOrEqual(500_000);
    let isCut = false;
    const resumed = { name, operation: id, resume: true, offset: BigInt(offset) };
    const more = bring(resumed, { from, to: 2_000_000 }).catch((error: unknown) => {
      isCut = true;
      return error;
    });
    // Asked while a call brings more, the host cuts that one.
    await until(async () => (await suspend(id)) >= 0 && isCut);
    expect(await more).toMatchObject({ reason: 'unavailable' });
    const last = await suspend(id);
    const answer = await bring({ name, operation: id, resume: true, offset: BigInt(last) }, { from });
    const before = archive.subarray(0, archive.length - 2_048);
    expect(answer.sha256).toBe(createHash('sha256').update(before).digest('hex'));
    expect((await readFile(join(path(name), 'f'))).equals(content)).toBe(true);
    expect(await copies()).toEqual([]);
    await expect(suspend(id)).rejects.toMatchObject({ reason: 'not-found' });
  });

  test('after its last byte: the volume is made, and the next call hears of it', async () => {
    const id = operation();
    const life = new AbortController();
    const outcome = bring({ name: 'last', operation: id }, { signal: life.signal }).catch((error: unknown) => error);
    await until(() => existsSync(join(host.dataRoot, 'volume-copies', id)));
    life.abort(new Error('cut'));
    const first = await outcome;
    if (first instanceof Error) {
      const offset = await suspend(id);
      await bring({ name: 'last', operation: id, resume: true, offset: BigInt(offset) });
    }
    expect((await readFile(join(path('last'), 'f'))).equals(content)).toBe(true);
  });

  test.each<[string, (id: string, offset: number) => Promise<unknown>, string]>([
    [
      'bytes behind others',
      (id, at) => bring({ name: 'strange', operation: id, resume: true, offset: BigInt(at + 1) }),
      'out-of-range',
    ],
    ['all of it', (id) => bring({ name: 'strange', operation: id, resume: true, offset: 0n }), 'out-of-range'],
    [
      'another operation',
      (_id, at) => bring({ name: 'strange', operation: operation(), resume: true, offset: BigInt(at) }),
      'not-found',
    ],
    ['where another one stands', () => suspend(operation()), 'not-found'],
  ])('is not touched by whoever comes with %s', async (_name, ask, reason) => {
    const id = operation();
    await cut('strange', id, 500_000);
    const offset = await suspend(id);
    await expect(ask(id, offset)).rejects.toMatchObject({ reason });
    expect(await suspend(id)).toBe(offset);
    expect(existsSync(path('strange'))).toBe(false);
    await end(id);
    expect(await copies()).toEqual([]);
    await expect(suspend(id)).rejects.toMatchObject({ reason: 'not-found' });
  });

  test('is no volume when what comes then is of another archive', async () => {
    const id = operation();
    await cut('mixed', id, 500_000);
    const offset = await suspend(id);
    const other = Buffer.from(archive);
    other.writeUInt8(other.readUInt8(2_000_000) ^ 1, 2_000_000);
    const rest = bring({ name: 'mixed', operation: id, resume: true, offset: BigInt(offset) }, { from: other });
    await expect(rest).rejects.toMatchObject({ reason: 'invalid-argument', message: /digest/ });
    expect(existsSync(path('mixed'))).toBe(false);
    expect(await copies()).toEqual([]);
    await expect(suspend(id)).rejects.toMatchObject({ reason: 'not-found' });
  });

  test('has failed when its helper died meanwhile, and says so', async () => {
    const id = operation();
    await cut('helpless', id, 500_000);
    const offset = await suspend(id);
    process.kill(await helperOf(id), 'SIGKILL');
    const rest = bring({ name: 'helpless', operation: id, resume: true, offset: BigInt(offset) });
    await expect(rest).rejects.toMatchObject({ reason: 'internal', message: /ended with SIGKILL/ });
    expect(existsSync(path('helpless'))).toBe(false);
    expect(await copies()).toEqual([]);
  });

  test('waits for nobody unless it says that it can be gone on with', async () => {
    const id = operation();
    const life = new AbortController();
    const start = { name: 'once', operation: id, resumable: false };
    const outcome = bring(start, { to: 500_000, signal: life.signal }).catch((error: unknown) => error);
    await until(() => existsSync(join(host.dataRoot, 'volume-copies', id)));
    life.abort();
    await outcome;
    await until(async () => (await copies()).length === 0);
  });

  test.each(['ends the operation', 'kills the agent'])('goes when somebody %s, whoever brings it then', async (how) => {
    const id = operation();
    const outcome = bring({ name: 'ended', operation: id }, { to: 500_000 }).catch((error: unknown) => error);
    await until(() => existsSync(join(host.dataRoot, 'volume-copies', id)));
    if (how === 'ends the operation') await end(id);
    else {
      await host.killAgent('SIGKILL');
      await host.startAgent();
    }
    expect(await outcome).toMatchObject({ reason: 'unavailable' });
    expect(await copies()).toEqual([]);
    await expect(suspend(id)).rejects.toMatchObject({ reason: 'not-found' });
    await bring({ name: `after-${how.length}`, operation: operation() });
  });

  test.each(FAILPOINTS.filter((name): name is Failpoint => name.startsWith('resume.')))(
    '%s: killed there, nothing is left, and it begins anew',
    async (failpoint) => {
      const name = failpoint.replaceAll('.', '-');
      await host.killAgent('SIGTERM');
      await host.startAgent(failpoint);
      const id = operation();
      const life = new AbortController();
      const first = bring({ name, operation: id }, { to: 500_000, signal: life.signal }).catch(() => undefined);
      await until(() => existsSync(join(host.dataRoot, 'volume-copies', id)));
      life.abort();
      await first;
      const outcome = (async () => {
        const offset = BigInt(await suspend(id));
        await bring({ name, operation: id, resume: true, offset });
      })().catch((error: unknown) => error);
      await host.crashed(AbortSignal.timeout(20_000));
      await host.startAgent();
      await outcome;
      expect(await copies()).toEqual([]);
      expect(existsSync(path(name))).toBe(false);
      await bring({ name, operation: operation() });
      expect((await readFile(join(path(name), 'f'))).equals(content)).toBe(true);
    },
  );
});

describe('archives that wait', { timeout: 60_000 }, () => {
  const receiving = (options: { waitMs?: number; maxWaiting?: number }) => {
    const tools = new VolumeTools(buildShim());
    return new VolumeReceiving({
      ...options,
      receive: async ({ name }, bytes, signal) => {
        await mkdir(path(name), { recursive: true });
        return await tools.unpack(path(name), bytes, {}, signal);
      },
    });
  };
  const begin = async (all: VolumeReceiving, name: string): Promise<string> => {
    const id = operation();
    const source = (async function* () {
      yield archive.subarray(0, 10_000);
      throw new Error('cut');
    })();
    const start = volumeV1.WriteVolumeStart.fromPartial({ name, operation: id, resumable: true });
    await expect(all.write(start, source, new AbortController().signal)).rejects.toThrow('cut');
    return id;
  };

  test('are given up after a while', async () => {
    const all = receiving({ waitMs: 50 });
    const id = await begin(all, 'late');
    await until(async () => (await all.suspend(id).catch(() => 'gone')) === 'gone');
  });

  test('are so many at most: one more is given up at once, and there is room when one has ended', async () => {
    const all = receiving({ maxWaiting: 2 });
    const ids = [await begin(all, 'w1'), await begin(all, 'w2')];
    await expect(all.suspend(await begin(all, 'w3'))).rejects.toMatchObject({ reason: 'not-found' });
    for (const id of ids) expect(await all.suspend(id)).toBe(10_000);
    await all.end(ids[0] ?? '');
    expect(await all.suspend(await begin(all, 'w4'))).toBe(10_000);
    await all.endAll();
    await expect(all.suspend(ids[1] ?? '')).rejects.toMatchObject({ reason: 'not-found' });
  });
});
