import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capabilitySets, resolveCapabilities } from './capabilities.ts';
import { defaultMounts } from './default-mounts.ts';
import { dockerSeccompProgram } from './seccomp/docker-seccomp.ts';
import { buildProbe } from './testing/shim-binary.ts';
import { type PlanChanges, TestHost } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  const left = await host.leftovers();
  await host[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

describe('a container', () => {
  it.each([
    ['its exit code', ['sh', '-c', 'exit 7'], { code: 7, signal: 0 }],
    ['exit code 0', ['true'], { code: 0, signal: 0 }],
    ['a signal as 128 and its number', ['sh', '-c', 'sleep 9 & kill -9 $!; wait $!'], { code: 137, signal: 0 }],
  ])('ends with %s', async (_name, argv, wanted) => {
    expect((await host.run(argv)).exit).toMatchObject(wanted);
  });

  it('keeps its streams apart and takes standard input to its end', async () => {
    const result = await host.run(['sh', '-c', 'cat; echo err >&2'], {}, 'in\n');
    expect(result).toMatchObject({ stdout: 'in\n', stderr: 'err\n', exit: { code: 0 } });
  });

  it('passes megabytes through cat unchanged', async () => {
    const text = '0123456789abcdef\n'.repeat(200_000);
    expect((await host.run(['cat'], {}, text)).stdout).toBe(text);
  });

  it('has only the three standard descriptors open', async () => {
    expect((await host.run(['probe', 'fds'])).stdout.trim()).toBe('0 1 2');
  });

  it('is process 1 of its own namespaces, with its own host name', async () => {
    const result = await host.run([
      'sh',
      '-c',
      'echo $$; hostname; ls /proc | grep -c "^[0-9]"; cat /proc/net/dev | grep -c :',
    ]);
    const [pid, hostname, processes, interfaces] = result.stdout.trim().split('\n');
    expect({ pid, hostname, interfaces }).toEqual({ pid: '1', hostname: 'box', interfaces: '1' });
    expect(Number(processes)).toBeLessThan(5);
  });

  it('has a terminal when asked for, of the given size and controlling', async () => {
    const result = await host.run(
      ['sh', '-c', 'tty; stty size; [ -c /dev/console ] && echo console; echo x > /dev/tty'],
      {
        process: { tty: { rows: 33, cols: 77 } },
      },
    );
    expect(result.stdout.split('\r\n')).toEqual(['/dev/pts/0', '33 77', 'console', 'x', '']);
  });

  it('writes only to its upper folder', async () => {
    const bundle = await host.bundle();
    const result = await host.run(['sh', '-c', 'echo new > /etc/group; cat /etc/group']);
    expect(result.stdout).toBe('new\n');
    expect(await readFile(join(host.layer, 'etc/group'), 'utf8')).toContain('wheel');
    expect(await readdir(join(bundle, 'upper'))).toEqual([]);
  });

  it('cannot write to a read-only root, but to its tmpfs', async () => {
    const bundle = await host.bundle();
    const plan = host.plan(bundle, ['true']);
    const result = await host.run(['sh', '-c', 'echo x > /f; echo y > /dev/shm/f && cat /dev/shm/f'], {
      plan: { root: { ...plan.root, readonly: true } },
    });
    expect(result).toMatchObject({ stdout: 'y\n', exit: { code: 0 } });
    expect(result.stderr).toContain('Read-only file system');
  });

  it('sees binds read-only or writable as planned', async () => {
    const source = join(host.folder, 'volume');
    await mkdir(source, { recursive: true });
    await writeFile(join(source, 'f'), 'content');
    const bind = (target: string, flags: readonly 'ro'[]) =>
      ({ kind: 'bind', source, target, flags, recursive: true, propagation: 'rprivate' }) as const;
    const result = await host.run(
      ['sh', '-c', 'cat /v/deep/ro/f; echo x > /v/deep/ro/f || echo refused; echo new > /v/rw/f'],
      {
        plan: {
          mounts: [
            ...defaultMounts({ privileged: false, shmBytes: 1 << 20 }),
            bind('/v/deep/ro', ['ro']),
            bind('/v/rw', []),
          ],
        },
      },
    );
    expect(result.stdout).toBe('contentrefused\n');
    expect(await readFile(join(source, 'f'), 'utf8')).toBe('new\n');
  });

  it('has the sysctls and resource limits of its plan', async () => {
    const result = await host.run(['sh', '-c', 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ulimit -n; umask'], {
      plan: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' } },
      process: { rlimits: [{ name: 'nofile', soft: 100n, hard: 200n }], umask: 0o027 },
    });
    expect(result.stdout).toBe('0\n100\n0027\n');
  });
});

describe('a container that cannot run its command', () => {
  it.each([
    ['a name that PATH does not have', ['nothing'], '127', 'exec: "nothing": executable file not found in $PATH'],
    ['a missing path', ['/no/such'], '127', 'exec: "/no/such": stat /no/such: no such file or directory'],
    ['a file without an execute bit', ['/etc/passwd'], '126', 'exec: "/etc/passwd": permission denied'],
    ['a folder', ['/etc'], '126', 'exec: "/etc": is a directory'],
    ['a file of no known format', ['/bin/text'], '126', 'exec /bin/text: exec format error'],
  ])('fails for %s', async (_name, argv, exitCode, message) => {
    await writeFile(join(host.layer, 'bin/text'), 'no program', { mode: 0o755 });
    await expect(host.run(argv)).rejects.toMatchObject({ message, details: { exitCode } });
  });

  it.each([
    [
      'a missing lower layer',
      { plan: { root: { kind: 'directory', path: '/no/such', readonly: false } } },
      'mount root',
    ],
    ['an unknown user', { process: { user: { kind: 'docker', user: 'bob' } } }, 'resolve user'],
    [
      'a limit above the hard one',
      { process: { rlimits: [{ name: 'nofile', soft: 1n << 40n, hard: 1n << 40n }] } },
      'set resource limit',
    ],
    ['a value no sysctl takes', { plan: { sysctls: { 'net.ipv4.ip_forward': 'x' } } }, 'write sysctl'],
    ['a sysctl that is no name', { plan: { sysctls: { '../kernel.core_pattern': '1' } } }, 'write sysctl'],
    ['two sysctls in one value', { plan: { sysctls: { 'kernel.msgmax': '1\n2' } } }, 'write sysctl'],
  ] as [string, PlanChanges, string][])('names the step for %s', async (_name, changes, step) => {
    await expect(host.run(['true'], changes)).rejects.toMatchObject({ details: { step } });
  });
});

describe('credentials', () => {
  const status = ['sh', '-c', 'grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'];
  const fields = (text: string): Record<string, string> =>
    Object.fromEntries(
      text
        .trim()
        .split('\n')
        .map((line) => line.split(':\t') as [string, string]),
    );
  const docker = '00000000a80425fb';
  const none = '0000000000000000';

  it.each([
    [
      'root',
      {},
      { CapBnd: docker, CapEff: docker, CapPrm: docker, CapInh: none, CapAmb: none, NoNewPrivs: '0', Seccomp: '2' },
    ],
    [
      'a user',
      { user: { kind: 'ids', uid: 1000, gid: 1000 } },
      { CapBnd: docker, CapEff: none, CapPrm: none, CapInh: none, CapAmb: none },
    ],
    ['no new privileges', { noNewPrivileges: true }, { CapEff: docker, NoNewPrivs: '1', Seccomp: '2' }],
    ['no seccomp', { seccomp: undefined }, { Seccomp: '0' }],
    [
      'all capabilities dropped',
      { capabilities: capabilitySets(resolveCapabilities([], ['ALL'])) },
      { CapBnd: none, CapEff: none },
    ],
  ] as const)('are exact for %s', async (_name, process, wanted) => {
    expect(fields((await host.run(status, { process })).stdout)).toMatchObject(wanted);
  });

  it.each([
    ['', '0 0 0 10'],
    ['root', '0 0 0 10'],
    ['ann', '1000 1001 1001 29 44'],
    ['ann:audio', '1000 29 29'],
    ['1000', '1000 1001 1001 29 44'],
    ['1000:', '1000 1001 1001 29 44'],
    ['4242', '4242 0 0'],
    ['4242:44', '4242 44 44'],
    ['2147483647', '2147483647 0 0'],
  ])('resolve the user "%s"', async (user, wanted) => {
    const result = await host.run(['sh', '-c', 'echo $(id -u) $(id -g) $(id -G)'], {
      process: { user: { kind: 'docker', user } },
    });
    expect(result.stdout.trim()).toBe(wanted);
  });

  it.each(['-1', '4294967296', '2147483648', '01', ' 1', '+1', '1.0', 'ann:nobody', 'root:-1', '0x0'])(
    'refuse the user "%s"',
    async (user) => {
      await expect(host.run(['true'], { process: { user: { kind: 'docker', user } } })).rejects.toMatchObject({
        details: { step: 'resolve user' },
      });
    },
  );

  it('take HOME from passwd unless the environment has it', async () => {
    const run = async (env: string[]) =>
      (
        await host.run(['sh', '-c', 'echo $HOME'], { process: { user: { kind: 'docker', user: 'ann' }, env } })
      ).stdout.trim();
    expect(await run(['PATH=/bin'])).toBe('/home/ann');
    expect(await run(['PATH=/bin', 'HOME=/x'])).toBe('/x');
  });

  it('never follow a passwd link out of the root', async () => {
    const canary = join(host.folder, 'canary-passwd');
    await writeFile(canary, 'mallory:x:0:0::/:/bin/sh\n');
    await withLayer({ 'etc/passwd': canary }, async (plan) => {
      await expect(
        host.run(['true'], { ...plan, process: { user: { kind: 'docker', user: 'mallory' } } }),
      ).rejects.toMatchObject({
        details: { step: 'resolve user' },
      });
    });
  });
});

describe('system calls', () => {
  const EPERM = 'EPERM';
  it.each([
    ['mount', ['64', '165'], EPERM],
    ['unshare of a user namespace', ['64', '272', '0x10000000'], EPERM],
    ['setns', ['64', '308'], EPERM],
    ['clone of a user namespace', ['64', '56', '0x10000011'], EPERM],
    ['clone3', ['64', '435'], 'ENOSYS'],
    ['bpf', ['64', '321'], EPERM],
    ['keyctl', ['64', '250'], EPERM],
    ['add_key', ['64', '248'], EPERM],
    ['userfaultfd', ['64', '323'], EPERM],
    ['io_uring_setup', ['64', '425'], EPERM],
    ['open_by_handle_at', ['64', '304'], EPERM],
    ['a socket of AF_VSOCK', ['64', '41', '40', '1'], EPERM],
    ['a socket of AF_ALG', ['64', '41', '38', '5'], EPERM],
    ['personality with an odd flag', ['64', '135', '0x0400000'], EPERM],
    ['personality with a known one', ['64', '135', '0xffffffff'], 'ok'],
    ['a socket of AF_UNIX', ['64', '41', '1', '1'], 'ok'],
    ['a number no kernel has', ['64', '900'], 'ENOSYS'],
    ['getpid through x32', ['64', '0x40000027'], EPERM],
  ])('%s', async (_name, args, wanted) => {
    expect((await host.run(['probe', ...args])).stdout.trim()).toBe(wanted);
  });

  // A kernel may have the i386 entry switched off: then it is a fault for everybody, filter or not.
  it.each([
    ['mount through i386', ['32', '21'], EPERM],
    ['a socket of AF_ALG through i386', ['32', '359', '38', '5'], EPERM],
    ['socketcall for a socket through i386', ['32', '102', '1'], EPERM],
    ['getpid through i386', ['32', '20'], 'ok'],
    ['clone of a user namespace through i386', ['32', '120', '0x10000011'], EPERM],
  ])('%s, where there is i386 at all', async (_name, args, wanted) => {
    const hasI386 = spawnSync(buildProbe(), ['32', '20']).signal === null;
    const result = await host.run(['probe', ...args]);
    expect(hasI386 ? result.stdout.trim() : result.exit.signal).toBe(hasI386 ? wanted : 11);
  });

  it('let mount reach the kernel when the container has SYS_ADMIN', async () => {
    const names = resolveCapabilities(['SYS_ADMIN'], []);
    const process = { capabilities: capabilitySets(names), seccomp: dockerSeccompProgram(names) };
    expect((await host.run(['probe', '64', '165'], { process })).stdout.trim()).not.toBe(EPERM);
  });
});

describe('isolation', () => {
  it.each(['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/interrupts', '/sys/firmware'])(
    'masks %s',
    async (path) => {
      const result = await host.run([
        'sh',
        '-c',
        `if [ -d ${path} ]; then ls -A ${path}; else cat ${path}; fi; probe open ${path} w`,
      ]);
      expect(result.stdout.trim()).toMatch(/^(EROFS|EACCES|EISDIR|ENOENT|ok)$/);
      expect(result.stdout.trim().split('\n')).toHaveLength(1);
    },
  );

  it.each([
    '/proc/sys/kernel/core_pattern',
    '/proc/sysrq-trigger',
    '/sys/kernel/uevent_helper',
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
    '/sys/fs/cgroup/devices/devices.allow',
  ])('refuses to open %s for writing', async (path) => {
    expect((await host.run(['probe', 'open', path, 'w'])).stdout.trim()).toMatch(/^(EROFS|EACCES|ENOENT)$/);
  });

  it.each([
    ['c', '1', '3', 'ok'],
    ['c', '1', '9', 'ok'],
    ['c', '1', '1', 'EPERM'],
    ['c', '10', '229', 'EPERM'],
    ['b', '254', '0', 'EPERM'],
    ['b', '8', '0', 'EPERM'],
    ['b', '7', '0', 'EPERM'],
  ])('opens the device %s %s:%s only when it is a default one', async (type, major, minor, wanted) => {
    expect((await host.run(['probe', 'device', type, major, minor], { process: { cwd: '/tmp' } })).stdout.trim()).toBe(
      wanted,
    );
  });

  it.each(Array.from({ length: 20 }, (_, fd) => `/proc/self/fd/${fd}`))(
    'refuses %s as working directory',
    async (cwd) => {
      await expect(host.run(['true'], { process: { cwd } })).rejects.toMatchObject({
        details: { step: 'enter working directory' },
      });
    },
  );

  it('refuses a working directory that an image link leads to a descriptor', async () => {
    await withLayer({ work: '/proc/self/fd/5' }, async (plan) => {
      await expect(host.run(['true'], { ...plan, process: { cwd: '/work' } })).rejects.toMatchObject({
        details: { step: 'enter working directory' },
      });
    });
  });

  it('masks with its own null device whatever the image has as /dev/null', async () => {
    const result = await host.run([
      'sh',
      '-c',
      'stat -c %t:%T /proc/kcore 2>/dev/null || echo gone; stat -c %F /proc/keys',
    ]);
    expect(result.stdout).toContain('character special file');
    const without = defaultMounts({ privileged: false, shmBytes: 1 << 20 }).filter(
      ({ target }) => !target.startsWith('/dev'),
    );
    await mkdir(join(host.layer, 'dev'), { recursive: true });
    await writeFile(join(host.layer, 'dev/null'), 'trap');
    try {
      const weak = await host.run(['sh', '-c', 'cat /proc/keys; stat -c "%F %t:%T" /proc/keys'], {
        plan: { mounts: without, devices: [], devLinks: [] },
      });
      expect(weak.stdout).toBe('character special file 1:3\n');
    } finally {
      await rm(join(host.layer, 'dev'), { recursive: true });
    }
  });

  it.each(['dev', 'proc', 'sys'])('refuses an image whose /%s is a link, and leaves its target alone', async (name) => {
    const canary = join(host.folder, `canary-${name}`);
    await mkdir(canary, { recursive: true });
    // Out of the root the path does not exist; inside it, it does and is refused for being a link.
    await withLayer({ [name]: canary }, async (plan) => {
      await expect(host.run(['true'], plan)).rejects.toMatchObject({ details: { errno: 'ENOENT' } });
    });
    await withLayer({ [name]: '/tmp' }, async (plan) => {
      await expect(host.run(['true'], plan)).rejects.toMatchObject({ details: { errno: 'ELOOP' } });
    });
    expect(await readdir(canary)).toEqual([]);
  });

  it.each(['/proc', '/proc/self', '/proc/sys/kernel'])('refuses a bind onto %s', async (target) => {
    const mounts = defaultMounts({ privileged: false, shmBytes: 1 << 20 });
    const bind = {
      kind: 'bind',
      source: host.layer,
      target,
      flags: [],
      recursive: false,
      propagation: 'rprivate',
    } as const;
    await expect(host.run(['true'], { plan: { mounts: [...mounts, bind] } })).rejects.toMatchObject({
      details: { step: 'mount bind' },
    });
  });

  it('cannot get at the host through an absolute link in a bind target', async () => {
    const canary = join(host.folder, 'canary-target');
    await mkdir(canary, { recursive: true });
    await withLayer({ out: canary }, async (plan) => {
      const bind = {
        kind: 'bind',
        source: host.layer,
        target: '/out/made',
        flags: [],
        recursive: false,
        propagation: 'rprivate',
      } as const;
      const mounts = [...defaultMounts({ privileged: false, shmBytes: 1 << 20 }), bind];
      await expect(host.run(['ls', '/out/made'], { plan: { ...plan.plan, mounts } })).rejects.toThrow();
    });
    expect(await readdir(canary)).toEqual([]);
  });

  it('executes no program of ours that it could write to', async () => {
    const before = await readFile(host.shim);
    await expect(host.run(['/proc/self/exe'])).resolves.toMatchObject({ exit: { code: 2 } });
    const result = await host.run(['sh', '-c', 'ln -s /proc/self/exe /tmp/x; : > /proc/self/exe; echo $?']);
    expect(result.stdout.trim()).not.toBe('0');
    expect(await readFile(host.shim)).toEqual(before);
  });
});

describe('limits', () => {
  it('kills at the memory limit and says so', async () => {
    const limits = { memory: 16n << 20n, memoryAndSwap: 16n << 20n };
    const bundle = await host.bundle();
    const { cgroup } = host.plan(bundle, ['true']);
    const result = await host.run(
      ['sh', '-c', 'dd if=/dev/zero of=/dev/shm/f bs=1M count=40; x=$(head -c 40000000 /dev/zero | tr "\\0" x)'],
      {
        plan: { cgroup: { ...cgroup, limits } },
      },
    );
    expect(result.exit.oomKilled).toBe(true);
    expect(result.exit.code).not.toBe(0);
  });

  it('bounds the number of processes', async () => {
    const bundle = await host.bundle();
    const { cgroup } = host.plan(bundle, ['true']);
    const result = await host.run(['sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; echo not reached'], {
      plan: { cgroup: { ...cgroup, limits: { pids: 4 } } },
    });
    expect(result.stderr).toContain("can't fork");
  });

  it('shows the container its own group as the root of all', async () => {
    const result = await host.run(['cat', '/proc/self/cgroup']);
    expect(
      new Set(
        result.stdout
          .trim()
          .split('\n')
          .map((line) => line.split(':')[2]),
      ),
    ).toEqual(new Set(['/']));
  });
});

/** Puts a layer of symbolic links on top of busybox for one run. */
async function withLayer(links: Record<string, string>, body: (changes: PlanChanges) => Promise<void>): Promise<void> {
  const bundle = await host.bundle();
  const layer = join(bundle, 'links');
  for (const [path, target] of Object.entries(links)) {
    await mkdir(join(layer, path, '..'), { recursive: true });
    await symlink(target, join(layer, path));
  }
  const upper = join(bundle, 'upper');
  const work = join(bundle, 'work');
  await body({ plan: { root: { kind: 'overlay', lowers: [layer, host.layer], upper, work, readonly: false } } });
}
