import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerV1, nodeV1, volumeV1 } from '@atoll/proto';
import type { Channel } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FAILPOINTS, type Failpoint } from '../processes/failpoint.ts';
import { TestHost } from '../testing/test-host.ts';

const S = containerV1.ContainerState;
const A = nodeV1.Action;
const { PAUSE, LIVE } = volumeV1.VolumeAccess;
/** More than what lies in buffers between a reader that waits and the disk. */
const LARGE = 40 << 20;

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

const operation = (): string => randomBytes(16).toString('hex');
const data = () => host.channel.client(volumeV1.VolumeDataServiceService);
const path = (volume: string): string => join(host.dataRoot, 'volumes', volume, '_data');
const copies = (): Promise<string[]> => readdir(join(host.dataRoot, 'volume-copies'));

async function volume(name: string, size = 10): Promise<string> {
  await mkdir(path(name), { recursive: true });
  await writeFile(join(path(name), 'f'), randomBytes(size));
  return name;
}

const request = (name: string, access: volumeV1.VolumeAccess = PAUSE) =>
  volumeV1.ReadVolumeRequest.fromPartial({ name, access, labels: { from: name } });

async function archiveOf(name: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of data().readVolume(request(name))) parts.push(part.data);
  return Buffer.concat(parts);
}

function write(name: string, archive: Buffer, replace = false): Promise<volumeV1.WriteVolumeResponse> {
  const requests = async function* (): AsyncGenerator<volumeV1.WriteVolumeRequest> {
    const start = volumeV1.WriteVolumeStart.fromPartial({ name, operation: operation(), replace });
    yield { message: { $case: 'start', value: start } };
    for (let at = 0; at < archive.length; at += 200_000)
      yield { message: { $case: 'data', value: archive.subarray(at, at + 200_000) } };
  };
  return data().writeVolume(requests());
}

/** A container that counts in a volume, and how far it is. */
async function counting(name: string) {
  const mounts = [{ type: 'volume', source: name, target: '/v' }];
  const record = host.record(['sh', '-c', 'while :; do echo >>/v/count; sleep 0.01; done'], { mounts });
  await host.ensure(record);
  await host.start(record);
  await host.scheduler.state(record.id, S.RUNNING);
  const count = async (): Promise<number> => (await readFile(join(path(name), 'count'))).length;
  await expect.poll(count).toBeGreaterThan(0);
  return { record, count };
}

const state = async (id: string): Promise<containerV1.ContainerState | undefined> =>
  (await host.runtime.getStatus({ containerId: id })).status?.state;

describe('out and in', { timeout: 60_000 }, () => {
  test('files and labels come back; what is there is not overwritten unless asked', async () => {
    await volume('one', 1_000_000);
    const archive = await archiveOf('one');
    expect((await write('two', archive)).labels).toEqual({ from: 'one' });
    expect(await readFile(join(path('two'), 'f'))).toEqual(await readFile(join(path('one'), 'f')));
    await writeFile(join(path('two'), 'more'), '');
    await expect(write('two', archive)).rejects.toMatchObject({ reason: 'conflict' });
    expect(await readdir(path('two'))).toEqual(['f', 'more']);
    await write('two', archive, true);
    expect(await readdir(path('two'))).toEqual(['f']);
    expect(await copies()).toEqual([]);
  });

  test('one that was cut goes on where it was, as long as the volume is the same', async () => {
    await volume('cut', 1_000_000);
    const whole = await archiveOf('cut');
    const created = /"created":"([^"]+)"/.exec(whole.toString('latin1', 0, 2_000))?.[1] ?? '';
    const rest = async (bytes: number): Promise<Buffer> => {
      const skippedSha256 = createHash('sha256').update(whole.subarray(0, bytes)).digest('hex');
      const asked = { ...request('cut'), created, skip: BigInt(bytes), skippedSha256 };
      const parts: Buffer[] = [];
      for await (const part of data().readVolume(asked)) parts.push(part.data);
      return Buffer.concat(parts);
    };
    for (const bytes of [0, 1, 512, 700_001, whole.length])
      expect((await rest(bytes)).equals(whole.subarray(bytes))).toBe(true);
    await writeFile(join(path('cut'), 'f'), 'other');
    await expect(rest(700_001)).rejects.toMatchObject({ reason: 'out-of-range' });
    await expect(rest(5_000)).rejects.toMatchObject({ reason: 'out-of-range' });
  });

  test.each([
    ['one that is not there', 'none', 'not-found'],
    ['a path', '../../tls', 'invalid-argument'],
  ])('%s cannot be read', async (_name, name, reason) => {
    await expect(archiveOf(name)).rejects.toMatchObject({ reason });
  });

  test('an archive that was changed makes nothing', async () => {
    const archive = await archiveOf(await volume('good', 100_000));
    archive.writeUInt8(archive.readUInt8(60_000) ^ 1, 60_000);
    await expect(write('bad', archive)).rejects.toMatchObject({ reason: 'invalid-argument' });
    expect(existsSync(path('bad'))).toBe(false);
    expect(await copies()).toEqual([]);
  });

  test('the files of one that is being read are not removed', async () => {
    await volume('read', LARGE);
    const reading = data().readVolume(request('read', LIVE))[Symbol.asyncIterator]();
    await reading.next();
    const remove = () => host.scheduler.order({ action: A.REMOVE_VOLUME, volume: 'read' });
    await expect(remove()).rejects.toMatchObject({ message: expect.stringContaining('being copied') });
    await reading.return?.();
    await expect.poll(() => remove().then(() => 'gone', String)).toBe('gone');
  });
});

describe('users stand still while it is read', { timeout: 60_000 }, () => {
  test('and go on afterwards; a reader that waits does not let them on', async () => {
    const { record, count } = await counting(await volume('busy', LARGE));
    const reading = data().readVolume(request('busy'))[Symbol.asyncIterator]();
    let bytes = (await reading.next()).value?.data.length ?? 0;
    expect(await state(record.id)).toBe(S.PAUSED);
    const before = await count();
    for (let next = await reading.next(); !next.done; next = await reading.next()) bytes += next.value.data.length;
    expect(bytes).toBeGreaterThan(LARGE);
    expect(await state(record.id)).toBe(S.RUNNING);
    await expect.poll(count).toBeGreaterThan(before);
    await host.remove(record);
  });

  test('and go on when the reader goes away', async () => {
    const { record } = await counting(await volume('left', LARGE));
    const reading = data().readVolume(request('left'))[Symbol.asyncIterator]();
    await reading.next();
    await reading.return?.();
    await expect.poll(() => state(record.id)).toBe(S.RUNNING);
    await host.remove(record);
  });

  test('and go on when the agent is killed', async () => {
    const { record, count } = await counting(await volume('killed', LARGE));
    const reading = data().readVolume(request('killed'))[Symbol.asyncIterator]();
    await reading.next();
    const before = await count();
    await host.killAgent('SIGKILL');
    await expect(
      (async () => {
        while (!(await reading.next()).done);
      })(),
    ).rejects.toMatchObject({ reason: 'unavailable' });
    await host.startAgent();
    await expect.poll(() => state(record.id)).toBe(S.RUNNING);
    await expect.poll(count).toBeGreaterThan(before);
    await host.remove(record);
  });

  test.each(['one that a user let on', 'one that came'])('%s makes the backup fail', async (name) => {
    const source = `seen-${name.length}`;
    const { record } = await counting(await volume(source, LARGE));
    const reading = data().readVolume(request(source))[Symbol.asyncIterator]();
    await reading.next();
    let other: containerV1.ContainerRecord | undefined;
    if (name === 'one that came') other = (await counting(source)).record;
    else await host.scheduler.order({ action: A.UNPAUSE, record });
    const rest = (async () => {
      while (!(await reading.next()).done);
    })();
    await expect(rest).rejects.toMatchObject({ reason: 'failed-precondition' });
    await expect.poll(() => state(record.id)).toBe(S.RUNNING);
    for (const one of other ? [record, other] : [record]) await host.remove(one);
  });
});

describe('another node', { timeout: 60_000 }, () => {
  test('reads only what it was granted, until that ends', async () => {
    await volume('granted');
    const channel = host.channelOf(await host.pki.identity('node', 'node-2'));
    try {
      const read = async (given: string): Promise<void> => {
        const asked = async function* (): AsyncGenerator<volumeV1.PullVolumeRequest> {
          yield { message: { $case: 'start', value: { name: 'granted', operation: given } } };
        };
        for await (const _ of channel.client(volumeV1.VolumeDataServiceService).pullVolume(asked()));
      };
      const id = operation();
      await expect(read(id)).rejects.toMatchObject({ reason: 'permission-denied' });
      const order = (action: nodeV1.Action, peerNodeId: string) =>
        host.scheduler.order({
          action,
          volume: 'granted',
          volumeOrder: nodeV1.VolumeOrder.fromPartial({ operation: id, peerNodeId }),
        });
      await order(A.GRANT_VOLUME, 'node-3');
      await expect(read(id)).rejects.toMatchObject({ reason: 'permission-denied' });
      await order(A.GRANT_VOLUME, 'node-2');
      await read(id);
      await expect(read(operation())).rejects.toMatchObject({ reason: 'permission-denied' });
      await order(A.END_VOLUME, '');
      await expect(read(id)).rejects.toMatchObject({ reason: 'permission-denied' });
    } finally {
      channel.close();
    }
  });

  test.each(['node', 'scheduler', 'registry'] as const)('role %s may not write', async (role) => {
    const channel: Channel = host.channelOf(await host.pki.identity(role, 'x'));
    const requests = async function* (): AsyncGenerator<volumeV1.WriteVolumeRequest> {
      const start = volumeV1.WriteVolumeStart.fromPartial({ name: 'foreign', operation: operation() });
      yield { message: { $case: 'start', value: start } };
    };
    await expect(channel.client(volumeV1.VolumeDataServiceService).writeVolume(requests())).rejects.toMatchObject({
      reason: 'permission-denied',
    });
    channel.close();
  });
});

describe('an agent killed while it receives', { timeout: 60_000 }, () => {
  const at = FAILPOINTS.filter((name): name is Failpoint => name.startsWith('receive.'));
  test.each(at)('%s: the volume is whole, or not there', async (name) => {
    const archive = await archiveOf(await volume('origin', 3_000_000));
    const made = name.replaceAll('.', '-');
    await host.killAgent('SIGTERM');
    await host.startAgent(name);
    const outcome = write(made, archive).catch((error: unknown) => error);
    await host.crashed(AbortSignal.timeout(20_000));
    await outcome;
    await host.startAgent();
    expect(await copies()).toEqual([]);
    expect(existsSync(path(made))).toBe(name === 'receive.2-placed');
    if (name === 'receive.2-placed')
      expect(await readFile(join(path(made), 'f'))).toEqual(await readFile(join(path('origin'), 'f')));
    else await write(made, archive);
  });
});
