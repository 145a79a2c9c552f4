import { execFileSync } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from '../default-mounts.ts';
import type { MountPlan } from '../plan.ts';
import { type RootSpec, ShimTools } from '../shim-tools.ts';
import { buildTar } from '../testing/tar-builder.ts';
import { TestHost } from '../testing/test-host.ts';
import { listTree } from '../testing/tree-listing.ts';
import { USER_NAMESPACE_MODES } from '../testing/user-namespace-modes.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  let tools: ShimTools;
  beforeAll(async () => {
    host = await TestHost.create(mode);
    tools = new ShimTools(host.shim);
  });
  afterAll(async () => {
    const left = await host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const MOUNTS = defaultMounts({ privileged: false, shmBytes: 1 << 20 });
  const bind = (source: string, target: string): MountPlan => ({
    kind: 'bind',
    source,
    target,
    flags: [],
    recursive: true,
    propagation: 'rprivate',
    idmapped: true,
  });

  async function makeCanary(name: string): Promise<string> {
    const canary = join(host.folder, name);
    await mkdir(canary);
    await writeFile(join(canary, 'secret'), 'canary', { mode: 0o600 });
    return canary;
  }
  const UNTOUCHED = ['file 600 0:0 secret "canary"'];

  /** A folder and a link to `canary`, whose names a container swaps as fast as it can. */
  async function makeTrap(folder: string, canary: string): Promise<void> {
    await mkdir(join(folder, 'x/deep'), { recursive: true });
    await writeFile(join(folder, 'x/secret'), 'mine');
    await symlink(canary, join(folder, 'y'));
  }
  const swapIn = (folder: string): readonly string[] => ['probe', 'exchange', `${folder}/x`, `${folder}/y`];

  describe('E05: archives of a container that swaps a folder for a link', { timeout: 180_000 }, () => {
    const textOf = async (root: RootSpec, path: string): Promise<string> =>
      execFileSync('tar', ['-xOf', '-'], {
        input: await buffer(tools.getArchive(root, path, host.signal)),
        encoding: 'utf8',
      });

    it.each([
      ['in its root', false],
      ['in a volume', true],
    ])('%s: the canary is never read, written or described', async (name, isVolume) => {
      const canary = await makeCanary(`canary ${name}`);
      const volume = join(host.folder, `volume ${name}`);
      await makeTrap(volume, canary);
      const script = `[ -e /vol/x ] || { mkdir -p /vol/x; echo -n mine >/vol/x/secret; ln -s '${canary}' /vol/y; }; exec ${swapIn('/vol').join(' ')}`;
      const changes = isVolume ? { plan: { mounts: [...MOUNTS, bind(volume, '/vol')] } } : {};
      await host.whileRunning(['sh', '-c', script], changes, async ({ init }) => {
        const root: RootSpec = { kind: 'process', process: init };
        const tar = buildTar([{ name: 'planted', content: 'p' }]);
        const outcomes = new Set<string>();
        // The control: a path that is resolved by name leads to the canary, so that the race is one that can be lost.
        await expect.poll(() => readFile(`/proc/${init.pid}/root/vol/x/secret`, 'utf8').catch(() => '')).toBe('canary');
        for (let round = 0; round < 250; round++) {
          outcomes.add(await textOf(root, '/vol/x/secret').catch(() => 'refused'));
          await tools.putArchive(root, '/vol/x', Readable.from([tar]), {}, host.signal).catch(() => undefined);
          const found = await tools.statPath(root, '/vol/x/secret', host.signal).catch(() => undefined);
          expect(found?.size ?? 4).toBe(4);
        }
        outcomes.delete('refused');
        expect([...outcomes]).toEqual(['mine']);
      });
      expect(listTree(canary)).toEqual(UNTOUCHED);
    });
  });

  describe('E06, E11: mounts below a volume whose folders are swapped for links', { timeout: 180_000 }, () => {
    it('never land outside, and make nothing there', async () => {
      const canary = await makeCanary('canary-mounts');
      const volume = join(host.folder, 'shared');
      await makeTrap(volume, canary);
      const shared = { plan: { mounts: [...MOUNTS, bind(volume, '/vol')] } };
      const source = join(host.folder, 'mounted');
      await mkdir(source);
      const victim: readonly MountPlan[] = [
        ...MOUNTS,
        bind(volume, '/vol'),
        { kind: 'tmpfs', target: '/vol/x/deep', flags: [], options: [] },
        bind(source, '/vol/x/missing/made'),
      ];
      const outcomes = { started: 0, refused: 0 };
      await host.whileRunning(swapIn('/vol'), shared, async () => {
        for (let round = 0; round < 300; round++) {
          const run = await host
            .run(['cat', '/proc/self/mountinfo'], { plan: { mounts: victim } })
            .catch(() => undefined);
          outcomes[run ? 'started' : 'refused']++;
          const points = (run?.stdout ?? '')
            .trim()
            .split('\n')
            .map((line) => line.split(' ')[4] ?? '');
          expect(points.filter((point) => point.includes(host.folder))).toEqual([]);
        }
      });
      expect(outcomes.started).toBeGreaterThan(0);
      expect(listTree(canary)).toEqual(UNTOUCHED);
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(host.folder);
    });

    it('control: a mount by name lands on the canary', async () => {
      const canary = await makeCanary('canary-control');
      const volume = join(host.folder, 'control');
      await makeTrap(volume, canary);
      await host.whileRunning(swapIn('/vol'), { plan: { mounts: [...MOUNTS, bind(volume, '/vol')] } }, async () => {
        // In a mount namespace of its own, which ends with the command.
        const script = `mount --bind '${volume}' '${volume}/x' && grep -c '${canary}' /proc/self/mountinfo || true`;
        const attempt = (): string => execFileSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8' }).trim();
        await expect.poll(attempt, { timeout: 20_000 }).toBe('1');
      });
    });

    it('a target that is an absolute link of the image stays inside', async () => {
      const canary = await makeCanary('canary-target');
      await host.withLayer({ out: canary }, async (plan) => {
        const mounts = [...MOUNTS, bind(host.layer, '/out/made')];
        await expect(host.run(['ls', '/out/made'], { plan: { ...plan.plan, mounts } })).rejects.toThrow();
      });
      expect(listTree(canary)).toEqual(UNTOUCHED);
    });

    it('what a container leaves is removed without following it', async () => {
      const canary = await makeCanary('canary-removal');
      const doomed = join(host.folder, 'doomed');
      await makeTrap(doomed, canary);
      await host.whileRunning(swapIn('/vol'), { plan: { mounts: [...MOUNTS, bind(doomed, '/vol')] } }, async () => {
        for (let round = 0; round < 50; round++) {
          await host.spawner.removeTree(join(doomed, round % 2 ? 'x' : 'y'), host.signal).catch(() => undefined);
          await mkdir(join(doomed, 'x')).catch(() => undefined);
          await symlink(canary, join(doomed, 'y')).catch(() => undefined);
        }
      });
      expect(listTree(canary)).toEqual(UNTOUCHED);
    });
  });
});
