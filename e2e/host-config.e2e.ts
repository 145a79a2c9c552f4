import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';

const [, h2 = ''] = inject('hosts');
const at = (host: string): string[] => ['-l', `atoll.constraints=node.hostname==${host}`];

/** Runs a shell script in a container of the second host. */
async function script(options: readonly string[], text: string) {
  return await docker(['run', '--rm', ...at(h2), ...options, 'busybox', 'sh', '-c', text]);
}

/** Options of `docker create` that are refused: nothing may be there afterwards. */
async function refused(options: readonly string[]): Promise<string> {
  await using container = new TestContainer(unique('refused'));
  const result = await docker(['create', '--name', container.name, ...at(h2), ...options, 'busybox', 'true']);
  expect(result.code, result.stdout).not.toBe(0);
  expect(await dockerOk(['ps', '-aq', '-f', `name=${container.name}`])).toBe('');
  return result.stderr;
}

describe('devices', () => {
  const disk = readdirSync('/sys/block').find((name) => !/^(zram|ram|sr|fd)/.test(name)) ?? '';
  const number = readFileSync(`/sys/block/${disk}/dev`, 'utf8').trim();

  test('--device gives a node with the access asked for', async () => {
    const result = await script(
      ['--device', '/dev/fuse:/dev/other:r'],
      'stat -c %t:%T /dev/other; head -c0 /dev/other && echo read; (: >/dev/other) || echo no write',
    );
    expect(result.stdout, result.stderr).toBe('a:e5\nread\nno write\n');
  });

  test('a folder of devices brings all its nodes', async () => {
    const result = await script(['--device', '/dev/net:/dev/net'], 'stat -c %t:%T /dev/net/tun');
    expect(result.stdout.trim(), result.stderr).toBe('a:c8');
  });

  test('--device-cgroup-rule lets a container make and open a node', async () => {
    const text = 'mknod /tmp/f c 10 229 && head -c0 /tmp/f && echo opened';
    expect((await script([], text)).stdout).toBe('');
    const result = await script(['--device-cgroup-rule', 'c 10:229 rmw'], text);
    expect(result.stdout.trim(), result.stderr).toBe('opened');
  });

  test('a device the host does not have', async () => {
    const result = await script(['--device', '/dev/not-there'], 'true');
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('error gathering device information while adding custom device "/dev/not-there"');
  });

  test.each([
    ['--device-read-bps', '1mb', 'blkio.throttle.read_bps_device', '1048576', 'rbps=1048576'],
    ['--device-write-bps', '2mb', 'blkio.throttle.write_bps_device', '2097152', 'wbps=2097152'],
    ['--device-read-iops', '100', 'blkio.throttle.read_iops_device', '100', 'riops=100'],
    ['--device-write-iops', '200', 'blkio.throttle.write_iops_device', '200', 'wiops=200'],
  ])('%s', async (option, rate, v1, wanted, v2) => {
    const result = await script(
      [option, `/dev/${disk}:${rate}`],
      `cat /sys/fs/cgroup/blkio/${v1} 2>/dev/null || cat /sys/fs/cgroup/io.max`,
    );
    expect(
      [`${number} ${wanted}`, v2].some((form) => result.stdout.includes(form)),
      result.stdout,
    ).toBe(true);
  });

  test('inspect shows devices and throttles', async () => {
    await using container = await runOn(
      h2,
      ['--device', '/dev/fuse', '--device-read-bps', `/dev/${disk}:1mb`, '--device-cgroup-rule', 'c 1:* r'],
      ['sleep', '60'],
    );
    expect(await container.inspect('.HostConfig.Devices')).toEqual([
      { PathOnHost: '/dev/fuse', PathInContainer: '/dev/fuse', CgroupPermissions: 'rwm' },
    ]);
    expect(await container.inspect('.HostConfig.BlkioDeviceReadBps')).toEqual([
      { Path: `/dev/${disk}`, Rate: 1048576 },
    ]);
    expect(await container.inspect('.HostConfig.DeviceCgroupRules')).toEqual(['c 1:* r']);
  });

  test('a realtime budget beyond what the host gives is refused with the reason', async () => {
    const result = await script(['--cpu-rt-runtime', '1000', '--cpu-rt-period', '100000'], 'true');
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(/must fit into what cpu.rt_runtime_us|no realtime budgets for control groups/);
  });

  test('a limit of kernel memory is discarded with a warning', async () => {
    const result = await docker(['create', '--kernel-memory', '10m', ...at(h2), 'busybox', 'true'], {
      env: { DOCKER_API_VERSION: '1.41' },
    });
    await docker(['rm', result.stdout.trim()]);
    expect(result.stderr).toContain('Limitation discarded');
  });

  test.each([
    ['a GPU', ['--gpus', 'all'], /could not select device driver "" with capabilities: \[\[gpu\]\]/],
    ['a rule of no form', ['--device-cgroup-rule', 'c 4096:0 r'], /invalid device cgroup rule format/],
    ['more realtime than the period', ['--cpu-rt-runtime', '2000', '--cpu-rt-period', '1000'], /cannot be higher/],
  ])('refused: %s', async (_name, options, message) => {
    expect(await refused(options)).toMatch(message);
  });
});

describe('security options', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-seccomp-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  /** `seccomp=<file>`: the docker CLI sends what is in the file. */
  function profile(name: string, content: object): string[] {
    const path = join(folder, `${name}.json`);
    writeFileSync(path, JSON.stringify(content));
    return ['--security-opt', `seccomp=${path}`];
  }
  const deny = (names: string[], more: object = {}): object => ({
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names, action: 'SCMP_ACT_ERRNO', ...more }],
  });

  test('a seccomp profile that takes calls away, for the container and its execs', async () => {
    const options = profile('no-mkdir', deny(['mkdir', 'mkdirat'], { errnoRet: 30 }));
    const result = await script(options, 'mkdir /x 2>&1; touch /y && echo fine');
    expect(result.stdout, result.stderr).toBe("mkdir: can't create directory '/x': Read-only file system\nfine\n");
    await using container = await runOn(h2, options, ['sleep', '60']);
    expect((await docker(['exec', container.name, 'mkdir', '/x'])).stderr).toContain('Read-only file system');
    expect((await container.inspect<string[]>('.HostConfig.SecurityOpt')).join()).toContain('"mkdirat"');
  });

  test('a profile holds for a privileged container too', async () => {
    const result = await script(
      ['--privileged', ...profile('no-mount', deny(['mount', 'fsopen', 'move_mount']))],
      'mount -t tmpfs x /mnt || echo no',
    );
    expect(result.stdout.trim(), result.stderr).toBe('no');
  });

  test('a rule that looks at an argument', async () => {
    const chmod = { args: [{ index: 1, value: 0o4755, op: 'SCMP_CMP_EQ' }] };
    const result = await script(
      profile('no-suid', deny(['chmod'], chmod)),
      'touch /f; chmod 755 /f && echo plain; chmod 4755 /f 2>/dev/null || echo not set-id',
    );
    expect(result.stdout, result.stderr).toBe('plain\nnot set-id\n');
  });

  test('a profile that names what is allowed', async () => {
    const names =
      `access arch_prctl brk capget capset chdir clock_gettime clone close close_range dup2 execve exit exit_group
      faccessat fchdir fcntl fstat futex getcwd getdents64 getegid geteuid getgid getpgrp getpid getppid getrandom getuid ioctl
      lseek mmap mprotect munmap newfstatat open openat prctl prlimit64 read readlink recvmsg rseq rt_sigaction
      rt_sigprocmask rt_sigreturn seccomp sendmsg set_robust_list set_tid_address setgid setgroups setresgid setresuid setuid
      sigaltstack stat umask uname vfork wait4 write`.split(/\s+/);
    const only = { defaultAction: 'SCMP_ACT_ERRNO', syscalls: [{ names, action: 'SCMP_ACT_ALLOW' }] };
    const result = await script(profile('only', only), 'uname; mkdir /x 2>&1');
    expect(result.stdout, result.stderr).toBe("Linux\nmkdir: can't create directory '/x': Operation not permitted\n");
  });

  test('systempaths=unconfined shows all of /proc', async () => {
    const text = 'grep -c " /proc/" /proc/self/mounts';
    expect(Number((await script([], text)).stdout)).toBeGreaterThan(0);
    expect((await script(['--security-opt', 'systempaths=unconfined'], text)).stdout.trim()).toBe('0');
  });

  test('writable cgroups are refused where they are a way out', async () => {
    const text = 'mkdir /sys/fs/cgroup/own && echo made';
    const result = await script(['--security-opt', 'writable-cgroups=true'], text);
    expect(result.stdout + result.stderr).toMatch(/^made\n$|needs cgroup v2/);
    expect((await script([], text)).stdout).toBe('');
  });

  test.each([
    // A host with AppArmor is asked for it when the container starts.
    [
      'an AppArmor profile',
      ['--security-opt', 'apparmor=mine'],
      /no host has AppArmor \(.*: its kernel has no AppArmor|AppArmor profile "mine" is not loaded on host/,
    ],
    ['a malformed AppArmor profile', ['--security-opt', 'apparmor=:ns:mine'], /the name of one AppArmor profile/],
    ['an SELinux label', ['--security-opt', 'label=type:svirt_t'], /no host uses SELinux/],
    [
      'an action that is none',
      profile('bad', { defaultAction: 'DENY' }),
      /decoding seccomp profile failed.*defaultAction/,
    ],
    ['an option that is none', ['--security-opt', 'magic=1'], /invalid --security-opt/],
  ])('refused: %s', async (_name, options, message) => {
    expect(await refused(options)).toMatch(message);
  });
});

describe('--init', () => {
  test('is pid 1, and everything else is as without', async () => {
    await using container = await runOn(h2, ['--init', '-u', 'www'], ['sleep', '600']);
    expect(await dockerOk(['exec', container.name, 'cat', '/proc/1/cmdline'])).toBe(
      '/sbin/docker-init\0--\0sleep\x00600\0',
    );
    expect(await container.inspect('.HostConfig.Init')).toBe(true);
    expect(await container.inspect('.Path')).toBe('sleep');
    await dockerOk(['kill', '-s', 'TERM', container.name]);
    expect(await dockerOk(['wait', container.name])).toBe('143');
  });

  test.each([
    ['the code of the program', ['sh', '-c', 'exit 42'], 42],
    ['127 for a missing program', ['/no/such/program'], 127],
  ])('exit code: %s', async (_name, command, want) => {
    const result = await docker(['run', '--rm', '--init', ...at(h2), 'busybox', ...command]);
    expect(result.code, result.stderr).toBe(want);
  });

  test('with a terminal the program is in its foreground', async () => {
    const result = await docker([
      'run',
      '--rm',
      '-t',
      '--init',
      ...at(h2),
      'busybox',
      'sh',
      '-c',
      'cut -d" " -f5,8 /proc/$$/stat',
    ]);
    const [group, foreground] = result.stdout.trim().split(' ');
    expect(foreground, result.stderr).toBe(group);
  });
});

/** An archive with one small file. */
function tarOfOneFile(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-tar-'));
  try {
    writeFileSync(join(folder, 'file'), 'content');
    return execFileSync('tar', ['-C', folder, '-cf', '-', 'file']);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('mounts', () => {
  test('--volumes-from brings the volumes of another container, and puts both on one host', async () => {
    await using first = await runOn(
      h2,
      ['-v', '/own', '-v', `${unique('vol')}:/named`],
      ['sh', '-c', 'echo a >/own/f; echo b >/named/f; sleep 600'],
    );
    const name = unique('from');
    await using second = new TestContainer(name);
    const result = await docker([
      'run',
      '--name',
      name,
      '--volumes-from',
      `${first.name}:ro`,
      'busybox',
      'sh',
      '-c',
      'until cat /own/f /named/f 2>/dev/null; do sleep 0.1; done; touch /own/g 2>&1 | grep -c Read-only',
    ]);
    expect(result.stdout, result.stderr).toBe('a\nb\n1\n');
    expect(await second.inspect('.Node.Name')).toBe(h2);
    expect(await second.inspect('.HostConfig.VolumesFrom')).toEqual([`${first.name}:ro`]);
  });

  test('an image as a mount', async () => {
    const result = await script(
      ['--mount', 'type=image,source=busybox,target=/tools'],
      '/tools/bin/busybox echo from the image; touch /tools/x 2>&1 | grep -c Read-only',
    );
    expect(result.stdout, result.stderr).toBe('from the image\n1\n');
  });

  test('an image that is mounted is in use', async () => {
    const tag = `${unique('mounted')}:1`;
    await dockerOk(['import', '-', tag], { input: tarOfOneFile() });
    await using container = await runOn(
      h2,
      ['--mount', `type=image,source=${tag},target=/m`],
      ['sh', '-c', 'cat /m/file; sleep 600'],
    );
    const result = await docker(['rmi', tag]);
    expect(result.stderr).toContain(await container.inspect('.Id').then((id) => id.slice(0, 12)));
    await dockerOk(['rm', '-f', container.name]);
    await dockerOk(['rmi', tag]);
  });

  test('a part of a volume', async () => {
    const volume = unique('parts');
    await using first = await runOn(
      h2,
      ['-v', `${volume}:/v`],
      ['sh', '-c', 'mkdir -p /v/a/b; echo part >/v/a/b/f; sleep 600'],
    );
    expect(first.name).not.toBe('');
    const result = await script(['--mount', `type=volume,source=${volume},target=/p,volume-subpath=a/b`], 'cat /p/f');
    expect(result.stdout, result.stderr).toBe('part\n');
  });

  test('a bind without the mounts below it, and one that is read only on top', async () => {
    const list = 'grep -c " /h/pts " /proc/self/mounts';
    const whole = await script(['--mount', 'type=bind,source=/dev,target=/h'], list);
    expect(Number(whole.stdout), whole.stderr).toBeGreaterThan(0);
    const alone = await script(['--mount', 'type=bind,source=/dev,target=/h,bind-recursive=disabled'], list);
    expect(alone.stdout.trim(), alone.stderr).toBe('0');
    const flags = 'grep " /h" /proc/self/mounts | cut -d" " -f2,4 | cut -d, -f1 | sort | head -2';
    expect(
      (await script(['--mount', 'type=bind,source=/dev,target=/h,readonly,bind-recursive=writable'], flags)).stdout,
    ).toMatch(/^\/h ro\n\/h\/\w+ rw\n$/);
    expect(
      (
        await script(
          ['--mount', 'type=bind,source=/dev,target=/h,readonly,bind-propagation=rprivate,bind-recursive=readonly'],
          flags,
        )
      ).stdout,
    ).toMatch(/^\/h ro\n\/h\/\w+ ro\n$/);
  });

  test('a bind of what is not there is refused by --mount', async () => {
    const result = await script(['--mount', 'type=bind,source=/not/there,target=/h'], 'true');
    expect(result.stderr).toContain('bind source path does not exist: /not/there');
  });

  test.each([
    ['a container that is not there', ['--volumes-from', 'ghost-of-nobody'], /No such container: ghost-of-nobody/],
    [
      'an image that is not there',
      ['--mount', 'type=image,source=ghost-of-nobody,target=/x'],
      /No such image: ghost-of-nobody/,
    ],
    ['a size of storage that is none', ['--storage-opt', 'size=huge'], /HostConfig.StorageOpt: invalid size "huge"/],
    ['another storage option', ['--storage-opt', 'inodes=5'], /HostConfig.StorageOpt: unknown option inodes/],
    ['a parent group above all', ['--cgroup-parent', '../..'], /HostConfig.CgroupParent/],
    ['a buffer of the log', ['--log-opt', 'mode=non-blocking', '--log-opt', 'max-buffer-size=1m'], /max-buffer-size/],
  ])('refused: %s', async (_name, options, message) => {
    expect(await refused(options)).toMatch(message);
  });
});

test('--storage-opt size: the limit holds, or is refused before anything is made where hosts have no project quotas', async () => {
  const rows = JSON.parse(await dockerOk(['info', '--format', '{{json .DriverStatus}}'])) as [string, string][];
  const host = rows.findIndex(([name]) => name === ` ${h2}`);
  const can = rows.slice(host).find(([name]) => name.includes('Storage limits'))?.[1] ?? '';
  const options = ['--storage-opt', 'size=8M'];
  if (can.startsWith('none: ')) {
    const said = await refused(options);
    expect(said).toContain(`1 cannot limit what a container stores (${h2}: ${can.slice('none: '.length)})`);
    expect(said).toMatch(/no suitable node: .*(xfs|ext4|its kernel has no quotas)/);
    return;
  }
  const result = await script(options, 'dd if=/dev/zero of=/big bs=1M count=16 2>&1');
  expect(result.stdout, result.stderr).toMatch(/No space left on device|Disk quota exceeded/);
});

test('--cgroup-parent, for the container, its execs and its numbers', async () => {
  await using container = await runOn(
    h2,
    ['--cgroup-parent', '/team/build', '--cgroupns', 'host', '--log-opt', 'mode=non-blocking', '--annotation', 'a=b'],
    ['sh', '-c', 'echo here; sleep 600'],
  );
  const group = await dockerOk(['exec', container.name, 'cat', '/proc/1/cgroup']);
  expect(group).toMatch(/\/team\/build\/[0-9a-f]{64}$/m);
  expect(await dockerOk(['exec', container.name, 'cat', '/proc/self/cgroup'])).toBe(group);
  expect(await container.inspect('.HostConfig.CgroupParent')).toBe('team/build');
  expect(await container.inspect('.HostConfig.Annotations')).toEqual({ a: 'b' });
  expect(await dockerOk(['top', container.name])).toContain('sleep 600');
  expect(await dockerOk(['logs', container.name])).toBe('here');
});

describe('namespaces of other containers', () => {
  test('network, processes and shared memory, on its host', async () => {
    await using donor = await runOn(
      h2,
      ['--ipc', 'shareable', '--hostname', 'donor', '-p', '0:8080'],
      [
        'sh',
        '-c',
        'mkdir -p /www; echo page >/www/index.html; echo note >/dev/shm/note; exec httpd -f -p 8080 -h /www',
      ],
    );
    const name = unique('join');
    await using guest = new TestContainer(name);
    const share = [
      '--network',
      `container:${donor.name}`,
      '--pid',
      `container:${donor.name}`,
      '--ipc',
      `container:${donor.name}`,
    ];
    const result = await docker([
      'run', '--name', name, ...share, 'busybox', 'sh', '-c',
      'until wget -qO- http://127.0.0.1:8080/ 2>/dev/null; do sleep 0.1; done; cat /dev/shm/note; hostname; ps | grep -c "[h]ttpd"',
    ]); // biome-ignore format: a command line
    expect(result.stdout, result.stderr).toBe('page\nnote\ndonor\n1\n');
    expect(await guest.inspect('.Node.Name')).toBe(h2);
    const id = await donor.inspect('.Id');
    expect(await guest.inspect('.HostConfig.NetworkMode')).toBe(`container:${id}`);
    expect(await guest.inspect('.NetworkSettings.Networks')).toEqual({});
  });

  test('a start fails while the other one does not run', async () => {
    await using donor = new TestContainer(unique('donor'));
    await dockerOk(['create', '--name', donor.name, ...at(h2), 'busybox', 'sleep', '600']);
    const result = await docker(['run', '--rm', '--network', `container:${donor.name}`, 'busybox', 'true']);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toMatch(
      /cannot join network of container [0-9a-f]{64}: container [0-9a-f]{64} is not running/,
    );
    await dockerOk(['start', donor.name]);
    const ipc = await docker(['run', '--rm', '--ipc', `container:${donor.name}`, 'busybox', 'true']);
    expect(ipc.stderr).toContain('non-shareable IPC (hint: use IpcMode:shareable for the donor container)');
  });

  test('--link: names, variables and a way to get there', async () => {
    const web = ['-e', 'COLOUR=red', '--expose', '8080', '--hostname', 'web-host'];
    await using server = await runOn(h2, web, [
      'sh',
      '-c',
      'mkdir /www; echo page >/www/index.html; exec httpd -f -p 8080 -h /www',
    ]);
    const name = unique('linked');
    await using client = new TestContainer(name);
    const result = await docker([
      'run', '--name', name, '--link', `${server.name}:site`, 'busybox', 'sh', '-c',
      'until wget -qO- http://site:8080/ 2>/dev/null; do sleep 0.1; done; wget -qO- "http://$SITE_PORT_8080_TCP_ADDR:8080"; echo $SITE_ENV_COLOUR $SITE_NAME; grep -c web-host /etc/hosts',
    ]); // biome-ignore format: a command line
    expect(result.stdout, result.stderr).toBe(`page\npage\nred /${name}/site\n1\n`);
    expect(await client.inspect('.HostConfig.Links')).toEqual([`/${server.name}:/${name}/site`]);
    expect(await client.inspect('.Node.Name')).toBe(h2);
  });

  test.each([
    ['a container that is not there', ['--pid', 'container:ghost-of-nobody'], /No such container: ghost-of-nobody/],
    [
      'a hostname in a network of another',
      ['--network', 'container:x', '--hostname', 'h'],
      /conflicting options|No such container/,
    ],
    ['a link on the host network', ['--network', 'host', '--link', 'x'], /can't be used with links/],
    ['an IPC mode that is none', ['--ipc', 'mine'], /[Ii]nvalid IPC mode/],
  ])('refused: %s', async (_name, options, message) => {
    expect(await refused(options)).toMatch(message);
  });
});
