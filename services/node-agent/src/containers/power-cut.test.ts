import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildV1, containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Failpoint } from '../processes/failpoint.ts';
import { PowerHost } from '../testing/power-cut.ts';
import type { TestHost } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';

const S = containerV1.ContainerState;

let power: PowerHost;
let host: TestHost;
beforeAll(async () => {
  power = await PowerHost.create();
  host = power.host;
});
afterAll(async () => {
  await power?.dispose();
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const fresh = (text: string): Promise<containerV1.Layer> =>
  testLayer(host.registry, async (folder) => {
    await writeFile(join(folder, 'mark'), text);
    await writeFile(join(folder, 'bulk'), Buffer.alloc(4 * 2 ** 20, text));
  });

/** What the cluster does with a host that is back: says again what it wants. */
async function reads(layers: readonly containerV1.Layer[], path: string): Promise<string> {
  const record = host.record(['cat', path], { image: { layers: [...layers] } });
  const { output } = await host.run(record);
  await host.remove(record);
  return output;
}

async function build(text: string): Promise<containerV1.Layer> {
  const builder = host.channelOf(await host.pki.identity('image-builder', 'builder-1'));
  const request = buildV1.RunStepRequest.fromPartial({
    base: { layers: [host.layer] },
    argv: ['sh', '-c', `echo ${text} >/made`],
    env: ['PATH=/bin'],
    networkMode: 'none',
  });
  try {
    for await (const { message } of builder.client(buildV1.BuildStepServiceService).runStep(request)) {
      if (message?.$case === 'result') return message.value.layer as containerV1.Layer;
    }
    throw new Error('no result');
  } finally {
    builder.close();
  }
}

/** The agent is killed at the failpoint, and the power is cut then. */
async function cutAt(name: Failpoint, operation: () => Promise<unknown>): Promise<void> {
  await power.cut();
  await power.boot(name);
  const outcome = operation().catch((error: unknown) => error);
  await host.crashed(AbortSignal.timeout(20_000));
  await power.cut();
  await power.boot();
  await outcome;
}

describe('F17: the power of a host is cut', { timeout: 120_000 }, () => {
  test('control: what was not synced is gone, what was is there', async () => {
    const [lost, kept] = ['lost', 'kept'].map((name) => () => join(host.dataView, name)) as [
      () => string,
      () => string,
    ];
    await writeFile(kept(), 'kept', { flush: true });
    execFileSync('sync', ['-f', host.dataView]);
    await writeFile(lost(), 'lost');
    await power.cut();
    await power.boot();
    // A sync of another file of the agent writes down that there is one of that name, but not what is in it.
    const found = await readFile(lost(), 'utf8').catch(() => '');
    expect([found, await readFile(kept(), 'utf8')]).toEqual(['', 'kept']);
    await rm(lost(), { force: true });
    await rm(kept());
  });

  test.each([0, 20, 60, 120, 250])('%i ms into a pull: the image is whole afterwards', async (ms) => {
    const layer = await fresh(`pull${ms}`);
    const record = host.record(['cat', '/mark'], { image: { layers: [host.layer, layer] } });
    const asked = host.ensure(record).catch(() => undefined);
    await pause(ms);
    await power.cut();
    await power.boot();
    await asked;
    expect(await reads([host.layer, layer], '/mark')).toBe(`pull${ms}`);
    await host.remove(record);
  });

  test.each(['pull.1-unpacked', 'pull.2-committed'] as const)('at %s: the image is whole afterwards', async (name) => {
    const layer = await fresh(name);
    const record = host.record(['cat', '/mark'], { image: { layers: [host.layer, layer] } });
    await cutAt(name, () => host.ensure(record));
    expect(await reads([host.layer, layer], '/mark')).toBe(name);
    expect(await reads([host.layer, layer], '/bulk')).toHaveLength(4 * 2 ** 20);
    await host.remove(record);
  });

  test('right after a pull: what was not on the disk is fetched again', async () => {
    const layer = await fresh('after');
    expect(await reads([host.layer, layer], '/mark')).toBe('after');
    await power.cut();
    await power.boot();
    expect(await reads([host.layer, layer], '/bulk')).toHaveLength(4 * 2 ** 20);
  });

  test.each(['commit.1-stored', 'commit.2-adopted'] as const)(
    'at %s of a build: the next one makes the layer',
    async (name) => {
      await cutAt(name, () => build(name));
      expect(await reads([host.layer, await build(name)], '/made')).toBe(`${name}\n`);
    },
  );

  test('right after a build: its layer is whole', async () => {
    const layer = await build('built');
    await power.cut();
    await power.boot();
    expect(await reads([host.layer, layer], '/made')).toBe('built\n');
  });

  test('while a volume is written: what was synced is there, and the volume works', async () => {
    const script = 'i=0; while :; do i=$((i+1)); echo $i >>/v/log; sync; echo $i; done';
    const mounts = [{ type: 'volume', source: 'data', target: '/v' }];
    const record = host.record(['sh', '-c', script], { mounts });
    await host.ensure(record);
    await host.start(record);
    await expect.poll(() => host.logs(record.id)).toMatch(/^5$/m);
    const said = (await host.logs(record.id)).trim().split('\n').length;
    await power.cut();
    await power.boot();
    const lines = (await readFile(join(host.dataView, 'volumes/data/_data/log'), 'utf8')).trim().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(said);
    expect(lines).toEqual(lines.map((_, index) => String(index + 1)));
    const again = host.record(['sh', '-c', 'echo on >/v/more; cat /v/more'], { mounts });
    expect((await host.run(again)).output).toBe('on\n');
    await Promise.all([host.remove(record, { volumes: true }), host.remove(again, { volumes: true })]);
  });

  test('containers: what ran is known to have ended, and restarts by its policy', async () => {
    const plain = host.record(['sleep', '600']);
    const kept = host.record(['sleep', '600'], { restartPolicy: { name: 'always' } });
    for (const record of [plain, kept]) {
      await host.ensure(record);
      await host.start(record);
    }
    // Statuses are on the disk a moment after they were told.
    await expect.poll(() => existsSync(join(host.dataView, 'containers', kept.id, 'status'))).toBe(true);
    await pause(500);
    // What a kernel does by itself after some seconds.
    execFileSync('sync', ['-f', host.dataView]);
    await power.cut();
    await power.boot();
    const told = (id: string) => host.scheduler.hello?.containers.find((status) => status.id === id);
    expect(told(plain.id)?.state).toBe(S.EXITED);
    await host.scheduler.status(
      ({ id, state, restartCount }) => id === kept.id && state === S.RUNNING && restartCount > 0,
    );
    await Promise.all([host.remove(plain), host.remove(kept)]);
  });
});
