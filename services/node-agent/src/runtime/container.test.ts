import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from './default-mounts.ts';
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

describe('a container whose overlay cannot be written to', () => {
  it('is refused, with the reason', async () => {
    const bundle = await host.bundle();
    const disk = join(bundle, 'disk');
    await mkdir(disk);
    // Three folders and no more.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=3', 'tmpfs', disk]);
    try {
      const [upper, work] = [join(disk, 'upper'), join(disk, 'work')];
      await mkdir(upper);
      await mkdir(work);
      const root = { kind: 'overlay' as const, lowers: [host.layer], upper, work, readonly: false };
      await expect(host.launch(bundle, host.plan(bundle, ['true'], { plan: { root } }))).rejects.toMatchObject({
        reason: 'resource-exhausted',
        message: expect.stringMatching(/"mount overlay".* it could make no folder in .*: No space left/),
      });
    } finally {
      execFileSync('umount', ['--lazy', disk]);
    }
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
