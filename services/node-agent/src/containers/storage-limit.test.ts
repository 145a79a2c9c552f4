import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QUOTA_FILE_SYSTEMS, QuotaDisk } from '../runtime/testing/quota-disk.ts';
import { buildProbe } from '../runtime/testing/shim-binary.ts';
import { TestHost, type TestHostOptions } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';

const S = containerV1.ContainerState;
const MIB = 2 ** 20;
const LIMIT = 8 * MIB;
/** Leaves the project of the container, if it may, and writes more than the limit; the last line says how that ended. */
const LEAVE =
  'mkdir /$1; probe project /$1 0; probe flags /$1; dd if=/dev/zero of=/$1/big bs=1M count=12 2>/dev/null; echo $?';
const FILL = 'dd if=/dev/zero of=/full bs=64k count=320 2>/dev/null; stat -c %s /full';

const WAYS: readonly [string, TestHostOptions, string][] = [
  ['native', { runtime: 'native' }, 'EPERM'],
  ['native, in user namespaces', { userNamespaces: 'with' }, 'EINVAL'],
  ['runc', { runtime: 'runc' }, 'EPERM'],
];

describe.each(QUOTA_FILE_SYSTEMS)('containers with a limit of storage on %s', (kind) => {
  describe.each(WAYS)('%s', (_name, options, refusal) => {
    let disk: QuotaDisk | string;
    let host: TestHost;
    let probe: containerV1.Layer;
    beforeAll(async () => {
      disk = QuotaDisk.mount(kind);
      if (typeof disk === 'string') return;
      host = await TestHost.create({ ...options, parent: disk.folder });
      probe = await testLayer(host.registry, async (folder) => {
        await mkdir(join(folder, 'bin'));
        await copyFile(buildProbe(), join(folder, 'bin/probe'));
      });
    });
    afterAll(async () => {
      await host?.dispose();
      if (typeof disk !== 'string') await disk.dispose();
    });

    const where = (name: string, body: () => Promise<void>): void =>
      test(name, async ({ skip }) => {
        if (typeof disk === 'string') return skip(`not applicable: ${disk}`);
        await body();
      });
    const record = (argv: readonly string[]): containerV1.ContainerRecord =>
      host.record(argv, {
        resources: { storageLimit: BigInt(LIMIT) },
        image: { reference: 'busybox', layers: [host.layer, probe] },
      });
    const limits = (): readonly number[] => (disk as QuotaDisk).projects().map(({ limit }) => limit);

    where('are held by it, and so are their execs, whatever they try', async () => {
      expect(host.scheduler.hello?.facts).toMatchObject({ noStorageLimits: '' });
      const script = `set -- own; ${LEAVE}; rm -r /own; exec sleep 600`;
      const box = record(['sh', '-c', script]);
      await host.ensure(box);
      await host.start(box);
      await expect.poll(() => host.logs(box.id)).toBe(`${refusal}\n${refusal}\n1\n`);
      expect(await host.exec(box.id, { argv: ['sh', '-c', `set -- exec; ${LEAVE}`] })).toMatchObject({
        output: `${refusal}\n${refusal}\n1\n`,
        code: 0,
      });
      expect(limits()).toEqual([LIMIT]);
      await host.remove(box);
      await expect.poll(limits).toEqual([]);
    });

    where('keep it while their agent is killed, and with the next runs; nothing is left of it', async () => {
      const box = record(['sh', '-c', `${FILL}; exec sleep 600`]);
      await host.ensure(box);
      await host.start(box);
      await expect.poll(() => host.logs(box.id)).toMatch(/^[1-8]\d{6}\n$/);
      await host.killAgent();
      await host.startAgent();
      expect(limits()).toEqual([LIMIT]);
      await host.scheduler.order({ action: nodeV1.Action.KILL, record: box, signal: 'SIGKILL' });
      await host.scheduler.state(box.id, S.EXITED);
      await host.killAgent();
      await host.startAgent();
      await host.start(box);
      await expect.poll(() => host.logs(box.id)).toMatch(/^([1-8]\d{6}\n){2}$/);
      expect(limits()).toEqual([LIMIT]);
      await host.killAgent();
      await host.startAgent();
      await host.remove(box);
      await expect.poll(limits).toEqual([]);
    });
  });
});
