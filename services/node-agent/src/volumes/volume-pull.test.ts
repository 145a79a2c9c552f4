import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '@atoll/errors';
import { nodeV1, volumeV1 } from '@atoll/proto';
import { ChannelPool, GrpcHost } from '@atoll/rpc';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from '../processes/failpoint.ts';
import { buildShim } from '../runtime/testing/shim-binary.ts';
import { VolumeTools } from '../runtime/volume-tools.ts';
import { TestHost } from '../testing/test-host.ts';
import { VolumeCopies } from './volume-copies.ts';
import { VolumeKept } from './volume-kept.ts';
import { VolumeStore } from './volume-store.ts';
import { VolumeTransfer } from './volume-transfer.ts';
import { VolumeUsers } from './volume-users.ts';

const A = nodeV1.Action;
const MEGA = 1 << 20;
const SIZE = 70 * MEGA;

let host: TestHost;
/** Another host: the same code in this process, on a link that can be cut. */
let folder: string;
let source: VolumeTransfer;
let server: GrpcHost;
let peerAddress: string;
/** Bytes after which the link is cut, or from which on nothing more comes. */
let cutAt = Number.POSITIVE_INFINITY;
let hangAt = Number.POSITIVE_INFINITY;
/** Bytes of each pull. */
let sent: number[] = [];

beforeAll(async () => {
  host = await TestHost.create();
  folder = await mkdtemp(join(tmpdir(), 'atoll-peer-'));
  const tls = await host.pki.identity('node', 'node-2');
  const volumes = new VolumeStore(join(folder, 'volumes'));
  const tools = new VolumeTools(buildShim());
  source = new VolumeTransfer({
    volumes,
    copies: await VolumeCopies.open(join(folder, 'copies'), volumes, tools),
    kept: await VolumeKept.open(join(folder, 'kept')),
    tools,
    users: new VolumeUsers(() => []),
    channels: new ChannelPool(tls),
    room: async () => ({}),
  });
  const refuse = async (): Promise<never> => {
    throw unavailable('pulls only');
  };
  server = new GrpcHost({ listen: `${host.outerIp}:0`, tls }).add(
    volumeV1.VolumeDataServiceService,
    { readVolume: [], pullVolume: ['node'], writeVolume: [], suspendWrite: [] },
    {
      // biome-ignore lint/correctness/useYield: it refuses
      readVolume: async function* () {
        await refuse();
      },
      writeVolume: refuse,
      suspendWrite: refuse,
      pullVolume: async function* (requests, { peer, signal }) {
        const at = sent.push(0) - 1;
        for await (const data of source.sending.send(requests, peer, signal)) {
          if ((sent[at] ?? 0) >= cutAt) throw unavailable('the link was cut');
          if ((sent[at] ?? 0) >= hangAt) await new Promise((_, reject) => signal.addEventListener('abort', reject));
          yield { data: Buffer.from(data) };
          sent[at] = (sent[at] ?? 0) + data.length;
        }
      },
    },
  );
  peerAddress = (await server.start()).address;
  await prepare();
}, 60_000);
afterAll(async () => {
  await server?.stop(100);
  await host?.dispose();
  if (folder) await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  cutAt = hangAt = Number.POSITIVE_INFINITY;
  sent = [];
});

const operation = (): string => randomBytes(16).toString('hex');
const here = (volume: string): string => join(host.dataRoot, 'volumes', volume, '_data');
const there = (volume: string): string => join(folder, 'volumes', volume, '_data');
const copies = (): Promise<string[]> => readdir(join(host.dataRoot, 'volume-copies'));
async function kept(volume: string): Promise<string[]> {
  const [boot = ''] = await readdir(join(host.dataRoot, 'volume-kept'));
  return await readdir(join(host.dataRoot, 'volume-kept', boot, volume)).catch(() => []);
}
const verified = async (volume: string): Promise<string[]> =>
  (await kept(volume)).filter((name) => !name.endsWith('.new'));

/** A large file between small ones, for each test its own, old enough for their notes to be trusted. */
const prepared = Array.from({ length: 9 }, (_, index) => `vol-${index}`);
let used = 0;
async function prepare(): Promise<void> {
  for (const name of prepared) {
    await mkdir(there(name), { recursive: true });
    await writeFile(join(there(name), 'a'), 'first');
    await writeFile(join(there(name), 'large'), randomBytes(SIZE));
    await writeFile(join(there(name), 'z'), 'last');
  }
  await sleep(3_100);
}
function volume(): string {
  const name = prepared[used++];
  if (name === undefined) throw new Error('more volumes are to be prepared');
  return name;
}

async function pull(name: string, { id = operation(), first = false } = {}): Promise<string> {
  source.sending.grant(name, id, host.nodeId);
  const volumeOrder = nodeV1.VolumeOrder.fromPartial({ operation: id, peerNodeId: 'node-2', peerAddress, first });
  await host.scheduler.order({ action: A.PULL_VOLUME, volume: name, volumeOrder });
  return id;
}
const end = async (id: string): Promise<unknown> =>
  host.scheduler.order({ action: A.END_VOLUME, volumeOrder: nodeV1.VolumeOrder.fromPartial({ operation: id }) });
const arrived = async (name: string): Promise<void> => {
  expect(execFileSync('diff', ['-r', there(name), here(name)], { encoding: 'utf8' })).toBe('');
  expect(await kept(name)).toEqual([]);
};
const until = (check: () => boolean | Promise<boolean>): Promise<void> =>
  expect.poll(check, { timeout: 20_000 }).toBe(true);

describe('a copy from another host that is cut in its middle', { timeout: 60_000 }, () => {
  test('by the link: the next one sends what is missing, and the volume is whole', async () => {
    const name = volume();
    cutAt = 50 * MEGA;
    const id = operation();
    await expect(pull(name, { id })).rejects.toMatchObject({ reason: 'unavailable', message: /link was cut/ });
    expect(existsSync(here(name))).toBe(false);
    cutAt = Number.POSITIVE_INFINITY;
    await pull(name, { id });
    expect(sent[1]).toBeLessThan(SIZE - 32 * MEGA + MEGA);
    await arrived(name);
    await end(id);
    expect(await copies()).toEqual([]);
  });

  test('by whoever asked: what was received is there for the next one, under another operation', async () => {
    const name = volume();
    hangAt = 50 * MEGA;
    const id = operation();
    const outcome = pull(name, { id }).catch((error: unknown) => error);
    await until(async () => (await verified(name)).length > 1);
    await end(id);
    expect(await outcome).toBeInstanceOf(Error);
    expect(await copies()).toEqual([]);
    hangAt = Number.POSITIVE_INFINITY;
    await end(await pull(name));
    expect(sent[1]).toBeLessThan(SIZE - 32 * MEGA + MEGA);
    await arrived(name);
  });

  test('by another order of the same operation: the one before is given up', async () => {
    const name = volume();
    hangAt = 50 * MEGA;
    const id = operation();
    const outcome = pull(name, { id }).catch((error: unknown) => error);
    await until(async () => (await verified(name)).length > 1);
    hangAt = Number.POSITIVE_INFINITY;
    await pull(name, { id });
    expect(await outcome).toBeInstanceOf(Error);
    await arrived(name);
    await end(id);
  });

  test('by the death of the agent that receives', async () => {
    const name = volume();
    hangAt = 50 * MEGA;
    const outcome = pull(name).catch((error: unknown) => error);
    await until(async () => (await verified(name)).length > 1);
    await host.killAgent('SIGKILL');
    await outcome;
    hangAt = Number.POSITIVE_INFINITY;
    await host.startAgent();
    expect(await copies()).toEqual([]);
    await end(await pull(name));
    expect(sent[1]).toBeLessThan(SIZE - 32 * MEGA + MEGA);
    await arrived(name);
  });

  test('and whose files were changed since: those are sent anew', async () => {
    const name = volume();
    cutAt = 50 * MEGA;
    await expect(pull(name)).rejects.toThrow();
    await writeFile(join(there(name), 'large'), randomBytes(MEGA));
    await rm(join(there(name), 'a'));
    cutAt = Number.POSITIVE_INFINITY;
    await end(await pull(name));
    await arrived(name);
  });

  test.each(FAILPOINTS.filter((name): name is Failpoint => name.startsWith('copy.')))(
    '%s: killed there, nothing half is in place, and the next copy is whole',
    async (failpoint) => {
      const name = volume();
      await host.killAgent('SIGTERM');
      await host.startAgent(failpoint);
      const outcome = pull(name).catch((error: unknown) => error);
      await host.crashed(AbortSignal.timeout(30_000));
      await outcome;
      await host.startAgent();
      expect(await copies()).toEqual([]);
      expect(existsSync(here(name))).toBe(false);
      await end(await pull(name));
      // What was handed over went with its operation: nobody says that its files were not written to since.
      const goesOn = failpoint === 'copy.1-received';
      expect((sent[1] ?? 0) < MEGA).toBe(goesOn);
      await arrived(name);
    },
  );
});

test("the copy before the last one is nobody's volume, and the last one takes from it", {
  timeout: 60_000,
}, async () => {
  const name = volume();
  const id = await pull(name, { first: true });
  expect(existsSync(here(name))).toBe(false);
  await writeFile(join(there(name), 'a'), 'changed');
  await pull(name, { id });
  expect(sent[1]).toBeLessThan(MEGA);
  await arrived(name);
  expect(await readFile(join(here(name), 'a'), 'utf8')).toBe('changed');
  await end(id);
});

describe('what was kept goes', { timeout: 60_000 }, () => {
  test('when the scheduler says so', async () => {
    const name = volume();
    await end(await pull(name, { first: true }));
    expect(await kept(name)).toHaveLength(3);
    await host.scheduler.order({ action: A.FORGET_VOLUME, volume: name });
    expect(await kept(name)).toEqual([]);
    await expect(host.scheduler.order({ action: A.FORGET_VOLUME, volume: '../tls' })).rejects.toMatchObject({
      reason: 'invalid-argument',
    });
  });

  test('a day after the last try, and when the host was started anew', async () => {
    const root = join(folder, 'expiring');
    const store = await VolumeKept.open(root, 'boot-1');
    await store.during('v', (path) => writeFile(join(path, 'f'), 'x'));
    await store.expire(Date.now());
    expect(await readdir(join(root, 'boot-1', 'v'))).toEqual(['f']);
    await store.expire(Date.now() + 25 * 3_600_000);
    expect(await readdir(join(root, 'boot-1'))).toEqual([]);
    await store.during('v', (path) => writeFile(join(path, 'f'), 'x'));
    await VolumeKept.open(root, 'boot-2');
    await expect.poll(() => readdir(root)).toEqual(['boot-2']);
  });
});
