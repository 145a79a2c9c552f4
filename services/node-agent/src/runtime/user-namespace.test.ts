import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySets, resolveCapabilities } from './capabilities.ts';
import { DEFAULT_DEVICES, defaultMounts } from './default-mounts.ts';
import { WEAK_PLAN } from './isolation/weak-plan.ts';
import type { ContainerPlan, MountPlan, UserNamespacePlan } from './plan.ts';
import { type RootSpec, ShimTools } from './shim-tools.ts';
import { busyboxPath } from './testing/shim-binary.ts';
import { buildTar } from './testing/tar-builder.ts';
import { type PlanChanges, TestHost } from './testing/test-host.ts';
import { TEST_IDS } from './testing/user-namespace-modes.ts';

let host: TestHost;
let tools: ShimTools;
beforeAll(async () => {
  host = await TestHost.create('with');
  tools = new ShimTools(host.shim);
});
afterAll(async () => {
  const left = await host.leftovers();
  await host[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

const MOUNTS = defaultMounts({ privileged: false, shmBytes: 1 << 20 });
const SLEEP = ['sleep', '60'];
const shell = async (script: string, changes: PlanChanges = {}): Promise<string> => {
  const { stdout, stderr } = await host.run(['sh', '-c', script], changes);
  return (stdout + stderr).trim();
};
const bind = (source: string, target: string, more: Partial<MountPlan & { kind: 'bind' }> = {}): MountPlan => ({
  kind: 'bind',
  source,
  target,
  flags: [],
  recursive: true,
  propagation: 'rprivate',
  ...more,
});
const mounted = (...mounts: readonly MountPlan[]): PlanChanges => ({ plan: { mounts: [...MOUNTS, ...mounts] } });
const namespaces = (changes: Partial<ContainerPlan['namespaces']>): ContainerPlan['namespaces'] => ({
  ...host.plan('/nowhere', ['true']).namespaces,
  ...changes,
});
const owner = async (path: string): Promise<string> => {
  const { uid, gid } = await stat(path);
  return `${uid}:${gid}`;
};
async function folder(name: string): Promise<string> {
  const path = join(host.folder, name);
  await mkdir(path);
  return path;
}

describe('a process in a user namespace', () => {
  it('is root inside, and somebody without rights on the host; so is an exec', async () => {
    const idsOf = async (pid: number | string): Promise<string[]> =>
      [...(await readFile(`/proc/${pid}/status`, 'utf8')).matchAll(/^[UG]id:\t(\d+)/gm)].map(([, id]) => id ?? '');
    await host.whileRunning(SLEEP, {}, async (container, plan) => {
      expect(await idsOf(container.init.pid)).toEqual([`${TEST_IDS.uid}`, `${TEST_IDS.gid}`]);
      const { stdout } = await host.exec(plan, container, ['sh', '-c', 'id -u; id -g; cat /proc/self/uid_map']);
      expect(stdout.trim().split(/\s+/)).toEqual(['0', '0', '0', `${TEST_IDS.uid}`, '65536']);
    });
  });

  it.each([['run'], ['exec']])('has the users of its image, by a %s', async (way) => {
    const process = { user: { kind: 'docker', user: 'ann' } } as const;
    const script = 'id -u; id -G; echo again >/dev/stdout; echo $HOME; touch /home/ann/x 2>&1';
    const wanted = '1000\n1001 29 44\nagain\n/home/ann\ntouch: /home/ann/x: Permission denied';
    if (way === 'run') expect(await shell(script, { process })).toBe(wanted);
    else {
      await host.whileRunning(SLEEP, {}, async (container, plan) => {
        expect((await host.exec(plan, container, ['sh', '-c', script], process)).stdout.trim()).toBe(wanted);
      });
    }
  });

  it.each([['run'], ['exec']])('has a terminal of its own, by a %s', async (way) => {
    const tty = { rows: 5, cols: 60 };
    const script = ['sh', '-c', 'tty; stty size; stat -c %u:%a $(tty)'];
    const wanted = '/dev/pts/0\r\n5 60\r\n0:620\r\n';
    if (way === 'run') expect((await host.run(script, { process: { tty } })).stdout).toBe(wanted);
    else {
      await host.whileRunning(SLEEP, {}, async (container, plan) => {
        expect((await host.exec(plan, container, script, { tty })).stdout).toBe(wanted);
      });
    }
  });

  it('has the limits and the score of its plan, which only the host can set', async () => {
    const process = {
      rlimits: [
        { name: 'nofile', soft: 77n, hard: 99n },
        { name: 'core', soft: 0n, hard: 0n },
      ],
      oomScoreAdj: 321,
    } as const;
    const script = 'ulimit -Sn; ulimit -Hn; ulimit -Hc; cat /proc/self/oom_score_adj';
    expect(await shell(script, { process })).toBe('77\n99\n0\n321');
    await host.whileRunning(SLEEP, {}, async (container, plan) => {
      expect((await host.exec(plan, container, ['sh', '-c', script], process)).stdout).toBe('77\n99\n0\n321\n');
    });
  });

  it('has the capabilities of a file of its image', async () => {
    const layer = await folder('capable');
    // Revision 2, effective; CAP_NET_RAW is number 13.
    const value = '\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0';
    const content = await readFile(busyboxPath());
    const pax = { 'SCHILY.xattr.security.capability': value };
    const tar = buildTar([{ name: 'cap/grep', mode: 0o755, content, pax }]);
    await tools.applyLayer(layer, Readable.from([tar]), {}, host.signal);
    const bundle = await host.bundle();
    const root = { upper: join(bundle, 'upper'), work: join(bundle, 'work'), readonly: false } as const;
    const plan = { root: { kind: 'overlay', lowers: [layer, host.layer], ...root } } as const;
    const process = { user: { kind: 'docker', user: 'ann' } } as const;
    expect(await shell('/cap/grep CapEff /proc/self/status', { process, plan })).toBe('CapEff:\t0000000000002000');
  });

  it('may change its own network, and nothing of the host', async () => {
    const names = resolveCapabilities(['NET_ADMIN', 'SYS_ADMIN'], []);
    const process = { capabilities: capabilitySets(names), seccomp: undefined };
    const script =
      'ip link set lo mtu 1400 && cat /sys/class/net/lo/mtu; hostname other && hostname; probe open /proc/sys/kernel/core_pattern w';
    expect(await shell(script, { ...WEAK_PLAN, process })).toBe('1400\nother\nEACCES');
  });

  it('has the settings of its own namespaces', async () => {
    const sysctls = { 'net.ipv4.ping_group_range': '0 65535', 'kernel.shmmni': '77', 'fs.mqueue.msg_max': '7' };
    const script = 'cd /proc/sys; cat net/ipv4/ping_group_range kernel/shmmni fs/mqueue/msg_max';
    expect((await shell(script, { plan: { sysctls } })).split(/\s+/)).toEqual(['0', '65535', '77', '7']);
  });
});

describe('files of a container in a user namespace', () => {
  it('have on disk the ids that it sees, in its root and in volumes', async () => {
    const volume = await folder('volume');
    await writeFile(join(volume, 'old'), '');
    await chown(join(volume, 'old'), 1000, 1001);
    const script =
      'for at in /new /vol/new; do touch $at; chown 1000:1001 $at; done; mkdir /root /vol/d; echo up; sleep 60';
    const changes = mounted(bind(volume, '/vol', { idmapped: true }));
    await host.whileRunning(['sh', '-c', script], changes, async (container, plan, bundle) => {
      const look = ['stat', '-c', '%u:%g', '/bin/busybox', '/vol/old', '/vol/new', '/new', '/root', '/vol/d'];
      await expect.poll(async () => (await host.exec(plan, container, look)).stdout.trim().split('\n')).toEqual([
        '0:0', '1000:1001', '1000:1001', '1000:1001', '0:0', '0:0',
      ]); // biome-ignore format: a table
      const places = ['upper/new', 'upper/root'].map((name) => join(bundle, name));
      const found = await Promise.all([...places, join(volume, 'new'), join(volume, 'd')].map(owner));
      expect(found).toEqual(['1000:1001', '0:0', '1000:1001', '0:0']);
    });
    const without = { plan: { ...changes.plan, userNamespace: undefined } };
    expect(await shell('stat -c %u:%g /vol/new /vol/d', without)).toBe('1000:1001\n0:0');
  });

  it("are the host's where a folder of the host is mounted", async () => {
    const shared = await folder('shared');
    await writeFile(join(shared, 'roots'), 'secret', { mode: 0o600 });
    await writeFile(join(shared, 'given'), 'mine', { mode: 0o600 });
    await chown(join(shared, 'given'), TEST_IDS.uid, TEST_IDS.gid);
    await chown(shared, TEST_IDS.uid, TEST_IDS.gid);
    const script = 'cd /shared; stat -c %u:%g roots given; cat given; cat roots; touch made';
    expect(await shell(script, mounted(bind(shared, '/shared')))).toBe(
      "65534:65534\n0:0\nminecat: can't open 'roots': Permission denied",
    );
    expect(await owner(join(shared, 'made'))).toBe(`${TEST_IDS.uid}:${TEST_IDS.gid}`);
  });

  it('and what it mounts in a shared one of those stays inside', async () => {
    const shared = await folder('propagated');
    await chown(shared, TEST_IDS.uid, TEST_IDS.gid);
    const mounts = [...WEAK_PLAN.plan.mounts, bind(shared, '/vol', { propagation: 'rshared' })];
    const script = 'mount -t tmpfs none /vol && touch /vol/here && ls /vol';
    expect(await shell(script, { ...WEAK_PLAN, plan: { ...WEAK_PLAN.plan, mounts } })).toBe('here');
    expect(await readdir(shared)).toEqual([]);
  });

  it.each([['while it runs'], ['when it has ended']])('are copied with its ids %s', async (when) => {
    const [volume, shared] = [await folder(`volume ${when}`), await folder(`host ${when}`)];
    await chown(shared, TEST_IDS.uid, TEST_IDS.gid);
    const changes = mounted(bind(volume, '/vol', { idmapped: true }), bind(shared, '/host'));
    const script = 'for at in /f /vol/f /host/f; do touch $at; chown 1000:1001 $at; done; echo up; sleep 60';
    const member = { name: 'put', content: 'p', uid: 1000, gid: 1001 };
    const check = async (root: RootSpec): Promise<void> => {
      for (const at of ['/', '/vol', '/host']) {
        await tools.putArchive(root, at, Readable.from([buildTar([member])]), {}, host.signal);
        for (const name of ['f', 'put']) {
          const tar = await buffer(tools.getArchive(root, join(at, name), host.signal));
          expect([at, name, ...[108, 116].map((offset) => Number.parseInt(tar.toString('latin1', offset, offset + 7), 8))]).toEqual(
            [at, name, 1000, 1001],
          ); // biome-ignore format: short
        }
      }
    };
    let ended = '';
    await host.whileRunning(['sh', '-c', script], changes, async (container, plan, bundle) => {
      await expect.poll(async () => (await host.exec(plan, container, ['stat', '/host/f'])).exit.code).toBe(0);
      if (when === 'while it runs') await check({ kind: 'process', process: container.init });
      ended = bundle;
    });
    if (when !== 'while it runs') await check({ kind: 'bundle', path: ended });
    expect(await owner(join(ended, 'upper/put'))).toBe('1000:1001');
    expect(await owner(join(volume, 'put'))).toBe('1000:1001');
    expect(await owner(join(shared, 'put'))).toBe(`${TEST_IDS.uid + 1000}:${TEST_IDS.gid + 1001}`);
  });

  it('are the same in a folder as root, in an image that is mounted, and when its root is read-only', async () => {
    const image: MountPlan = { kind: 'image', lowers: [host.layer], target: '/image', flags: ['ro'] };
    const root = { kind: 'directory', path: host.layer, readonly: true } as const;
    const script = 'stat -c %u:%g /bin/busybox /image/bin/busybox; touch /x 2>&1; exit 0';
    const mounts = mounted(image).plan?.mounts ?? [];
    await mkdir(join(host.layer, 'image'));
    for (const name of ['dev', 'proc', 'sys']) await mkdir(join(host.layer, name));
    expect(await shell(script, { plan: { mounts, root } })).toBe('0:0\n0:0\ntouch: /x: Read-only file system');
  });

  it('of devices are those of the plan, and work', async () => {
    const given = { type: 'c', major: 1, minor: 5, mode: 0o640, uid: 0, gid: 44 } as const;
    const devices = [...DEFAULT_DEVICES, { path: '/dev/a/zero', ...given }, { path: '/opt/zero', ...given }];
    const script = 'stat -c "%u:%g %a %t:%T" /dev/null /dev/a/zero /opt/zero; head -c 2 /opt/zero | wc -c';
    expect(await shell(script, { plan: { devices } })).toBe('0:0 666 1:3\n0:44 640 1:5\n0:44 640 1:5\n2');
  });
});

describe('namespaces of a container in a user namespace', () => {
  it('can be those of the host, but for processes and network', async () => {
    const mine = { ipc: { mode: 'host' }, uts: { mode: 'host' }, cgroup: { mode: 'host' } } as const;
    const plan = { namespaces: namespaces(mine), hostname: undefined };
    const script =
      'ls -d /dev/mqueue /sys/fs/cgroup; grep -c atoll-test /proc/self/cgroup; probe access /sys/fs/cgroup';
    const lines = (await shell(script, { plan })).split('\n');
    expect(lines.slice(0, 2)).toEqual(['/dev/mqueue', '/sys/fs/cgroup']);
    expect(Number(lines[2])).toBeGreaterThan(0);
    expect(lines[3]).toMatch(/EROFS|EACCES/);
  });

  it('can be those of another container, with its user namespace', async () => {
    await host.whileRunning(['sh', '-c', 'echo mine >/dev/shm/mine; hostname; sleep 60'], {}, async ({ init }) => {
      const join_ = { mode: 'join', process: init } as const;
      const plan = {
        namespaces: namespaces({ net: join_, ipc: join_, uts: join_, pid: join_ }),
        hostname: undefined,
        mounts: defaultMounts({ privileged: false, shmBytes: 1 << 20, joinsShm: true }),
        userNamespace: { mode: join_, ids: TEST_IDS },
      } as const;
      const same = async (kind: string): Promise<string> =>
        shell(`for pid in self 1; do readlink /proc/$pid/ns/${kind}; done`, { plan });
      for (const kind of ['user', 'net', 'ipc', 'uts', 'pid'])
        expect(new Set((await same(kind)).split('\n')).size).toBe(1);
      expect(await shell('cat /dev/shm/mine; touch /new; stat -c %u /new', { plan })).toBe('mine\n0');
    });
  });

  const ids = TEST_IDS;
  const own: UserNamespacePlan = { mode: { mode: 'private' }, ids };
  it.each([
    ["the host's network", { net: { mode: 'host' } }, own, /with the host's processes or network/],
    ["the host's processes", { pid: { mode: 'host' } }, own, /with the host's processes or network/],
    ['a network by path', { net: { mode: 'path', path: '/proc/1/ns/net' } }, own, /without its user namespace/],
    ['no ids', {}, { ...own, ids: { ...ids, size: 0 } }, /without ids/],
    ['ids beyond the largest', {}, { ...own, ids: { ...ids, uid: 2 ** 31 - 1 } }, /ids beyond/],
  ] as const)('are refused: %s', async (_name, changes, userNamespace, words) => {
    const plan = { namespaces: namespaces(changes), userNamespace };
    await expect(host.run(['true'], { plan })).rejects.toThrow(words);
  });

  it("are refused: those of a container that has the host's users, or other ids", async () => {
    for (const userNamespace of [undefined, { ...own, ids: { ...ids, uid: ids.uid + 65_536 } }]) {
      await host.whileRunning(SLEEP, { plan: { userNamespace } }, async ({ init }) => {
        const net = { mode: 'join', process: init } as const;
        const plan = { namespaces: namespaces({ net }), userNamespace: { mode: net, ids } };
        await expect(host.run(['true'], { plan })).rejects.toThrow(/run this one with the host's user namespace/);
        const refused = { namespaces: namespaces({ net }), userNamespace: own };
        await expect(host.run(['true'], { plan: refused })).rejects.toThrow(/without its user namespace/);
      });
    }
  });
});

describe('the check of a host', () => {
  it('passes here, and says what fails', async () => {
    const place = await folder('check');
    await tools.checkUserNamespaces(place, TEST_IDS, host.signal);
    await expect(tools.checkUserNamespaces('/proc', TEST_IDS, host.signal)).rejects.toThrow(/user namespace/);
  });
});
