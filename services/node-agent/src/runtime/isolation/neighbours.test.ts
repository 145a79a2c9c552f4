import { execFileSync, spawnSync } from 'node:child_process';
import { chmod, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PreparedContainer } from '../launch-shim.ts';
import type { ContainerPlan, NamespaceMode } from '../plan.ts';
import { buildProbe } from '../testing/shim-binary.ts';
import { TestHost } from '../testing/test-host.ts';
import { TEST_IDS, USER_NAMESPACE_MODES } from '../testing/user-namespace-modes.ts';

describe.each(USER_NAMESPACE_MODES)('%s user namespaces', (mode) => {
  let host: TestHost;
  beforeAll(async () => {
    host = await TestHost.create(mode);
  });
  afterAll(async () => {
    const left = await host.leftovers();
    await host[Symbol.asyncDispose]();
    expect(left).toEqual([]);
  });

  const namespaces = (changes: Partial<ContainerPlan['namespaces']>): { plan: Pick<ContainerPlan, 'namespaces'> } => ({
    plan: { namespaces: { ...host.plan('/nowhere', ['true']).namespaces, ...changes } },
  });

  describe('E14: sockets of the runtime', () => {
    const inodesOf = async (pid: number): Promise<string[]> => {
      const names = await readdir(`/proc/${pid}/fd`);
      const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
      return targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []);
    };

    it('have no abstract name, and their folders are closed to others', async ({ skip }) => {
      skip(
        mode === 'with',
        "not applicable: the host's network is refused with a user namespace, see user-namespace.test.ts",
      );
      await host.whileRunning(
        ['sleep', '60'],
        namespaces({ net: { mode: 'host' } }),
        async (container, plan, bundle) => {
          const { stdout } = await host.exec(plan, container, ['cat', '/proc/net/unix']);
          const own = new Set(await inodesOf(container.shim.pid));
          const names = stdout
            .split('\n')
            .map((line) => line.trim().split(/\s+/))
            .filter((words) => own.has(words[6] ?? ''));
          expect(own.size).toBeGreaterThan(0);
          expect(names.length).toBeGreaterThan(0);
          expect(names.map((words) => words[7] ?? '').filter((name) => name.startsWith('@'))).toEqual([]);
          expect(execFileSync('stat', ['-c', '%a', bundle, join(host.folder, 'spawner')], { encoding: 'utf8' })).toBe(
            '700\n700\n',
          );
        },
      );
    });

    it('take nobody but their own user, even where the folders are open', async () => {
      await host.whileRunning(['sleep', '60'], {}, async (_container, _plan, bundle) => {
        await chmod(host.folder, 0o755);
        await chmod(bundle, 0o755);
        await chmod(join(bundle, 'control.sock'), 0o666);
        // A STATE request; what comes back, or nothing when the shim hangs up.
        const ask = `const s = require('net').connect(${JSON.stringify(join(bundle, 'control.sock'))}); s.write(Buffer.from([8, 0, 0, 0, 0])); s.once('data', (d) => { console.log(d[0]); process.exit(); }); s.on('error', () => {}); s.once('close', () => console.log('closed'));`;
        const asUser = (uid: number): string =>
          spawnSync(process.execPath, ['-e', ask], { uid, encoding: 'utf8', timeout: 20_000 }).stdout.trim();
        expect(asUser(1000)).toBe('closed');
        expect(asUser(0)).toBe('128');
        await chmod(bundle, 0o700);
        await chmod(host.folder, 0o700);
      });
    });
  });

  describe('E27: shared memory', () => {
    const KEY = '0x41746f6c';
    const make = [
      'sh',
      '-c',
      `probe 64 29 ${KEY} 4096 ${0o1600}; echo mine >/dev/shm/mine; : >/dev/mqueue/mine; sleep 60`,
    ];
    const look = `probe 64 29 ${KEY} 0 0; cat /dev/shm/mine 2>/dev/null; ls /dev/mqueue`;

    it('of one container is in no other, and not on the host', async () => {
      await host.whileRunning(make, {}, async (container, plan) => {
        await expect.poll(async () => (await host.exec(plan, container, ['ls', '/dev/mqueue'])).stdout).toBe('mine\n');
        expect((await host.run(['sh', '-c', look])).stdout).toBe('ENOENT\n');
        expect(execFileSync(buildProbe(), ['64', '29', KEY, '0', '0'], { encoding: 'utf8' })).toBe('ENOENT\n');
        expect(await readdir('/dev/shm')).not.toContain('mine');
      });
    });
    it('control: where it is to be shared it is seen', async () => {
      await host.whileRunning(make, {}, async (container, plan) => {
        await expect.poll(async () => (await host.exec(plan, container, ['ls', '/dev/mqueue'])).stdout).toBe('mine\n');
        const join = { mode: 'join', process: container.init } as const;
        const shared = namespaces({ ipc: join }).plan;
        const joined = { ...shared, ...(mode === 'with' && { userNamespace: { mode: join, ids: TEST_IDS } }) };
        expect((await host.run(['sh', '-c', look], { plan: joined })).stdout).toBe('ok\nmine\n');
      });
    });
  });

  describe('E43: more than its share', () => {
    const limited = (limits: object) => ({ plan: { cgroup: { ...host.plan('/nowhere', ['true']).cgroup, limits } } });
    const forks = ['sh', '-c', 'i=0; while [ $i -lt 40 ]; do sleep 60 & i=$((i+1)); done; echo all'];

    it('a fork bomb stops at its limit, and another container runs meanwhile', async () => {
      await host.whileRunning(
        ['sh', '-c', 'f() { f | f & }; f; sleep 60'],
        limited({ pids: 40 }),
        async (container, plan) => {
          await expect.poll(() => pidsOf(container, plan)).toBeGreaterThan(30);
          expect((await host.run(['echo', 'fine'])).stdout).toBe('fine\n');
          expect(await pidsOf(container, plan)).toBeLessThanOrEqual(40);
        },
      );
    });
    it('control: a higher limit lets as many run', async () => {
      expect((await host.run(forks, limited({ pids: 60 }))).stdout).toBe('all\n');
      expect((await host.run(forks, limited({ pids: 20 }))).stdout).toBe('');
    });

    it('memory beyond the limit ends the container with 137, as told', async () => {
      const changes = limited({ memory: 16n << 20n, memoryAndSwap: 16n << 20n, pids: 64 });
      const { exit } = await host.run(['tail', '/dev/zero'], changes);
      expect(exit).toMatchObject({ oomKilled: true, code: 137 });
    });
  });

  /** What the group of a container counts, in whichever hierarchy has the pids controller. */
  async function pidsOf(container: PreparedContainer, plan: ContainerPlan): Promise<number> {
    const places = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];
    for (const place of places) {
      const text = await readFile(join(place, plan.cgroup.path, 'pids.current'), 'utf8').catch(() => undefined);
      if (text !== undefined) return Number(text);
    }
    throw new Error(`no pids.current for process ${container.init.pid}`);
  }

  describe('E45: processes that want to stay', () => {
    const daemons =
      'i=0; while [ $i -lt 300 ]; do (setsid sleep 600 >/dev/null 2>&1 &); i=$((i+1)); done; echo up; sleep 600';

    it.for([
      ['in a pid namespace of its own', { mode: 'private' }],
      ['in that of the host', { mode: 'host' }],
    ] as [string, NamespaceMode][])('300 daemons %s end with the container', async ([, pid], { skip }) => {
      skip(
        mode === 'with' && pid.mode === 'host',
        "not applicable: the host's processes are refused with a user namespace",
      );
      let path = '';
      await host.whileRunning(['sh', '-c', daemons], namespaces({ pid }), async (container, plan) => {
        path = plan.cgroup.path;
        await expect.poll(() => pidsOf(container, plan), { timeout: 20_000 }).toBeGreaterThan(300);
      });
      const groups = await Promise.all(
        (await readdir('/proc')).map((pid) => readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '')),
      );
      // A group can be removed when no process lives in it; the dead ones wait for the host's process 1.
      expect(groups.filter((text) => text.includes(path) && !text.includes(`${path} (deleted)`))).toEqual([]);
    });

    it('cannot see or signal what is outside', async () => {
      const result = await host.run(['sh', '-c', `ls -d /proc/${process.pid} 2>&1; kill -0 ${process.pid} 2>&1; true`]);
      expect(result.stdout).toMatch(/No such file.*\n.*No such process/s);
    });
  });
});
