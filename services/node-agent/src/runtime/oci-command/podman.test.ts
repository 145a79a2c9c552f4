import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OciHost, type Outcome } from '../testing/oci-host.ts';

/** Where the launcher unpacks Debian's. */
const UNPACKED = join(import.meta.dirname, '../../../../../.tools/podman');

let host: OciHost;
let rootfs: string;
beforeAll(async () => {
  if (!existsSync(join(UNPACKED, 'usr/bin/podman'))) {
    throw new Error('this test drives our runtime with podman: `./atoll test` unpacks it into .tools/podman');
  }
  host = await OciHost.create('atoll-oci');
  rootfs = join(await host.bundle(['true']), 'rootfs');
  const settings = {
    'containers.conf': `[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
conmon_path=["${UNPACKED}/usr/bin/conmon"]
`,
    'storage.conf': `[storage]\ndriver="vfs"\nrunroot="${host.folder}/run"\ngraphroot="${host.folder}/storage"\n`,
  };
  await mkdir(join(host.folder, 'run'));
  for (const [name, text] of Object.entries(settings)) await writeFile(join(host.folder, name), text);
});
afterAll(async () => {
  podman('rm', '--force', '--all', '--time', '0');
  // Podman's own groups, which it leaves behind; other runs may be using them.
  execFileSync('sh', [
    '-c',
    'rmdir /sys/fs/cgroup/*/libpod_parent/conmon /sys/fs/cgroup/*/libpod_parent 2>/dev/null; true',
  ]);
  await host[Symbol.asyncDispose]();
});

function podman(...args: string[]): Outcome {
  const { folder } = host;
  const places = [
    '--root',
    join(folder, 'storage'),
    '--runroot',
    join(folder, 'run'),
    '--tmpdir',
    join(folder, 'run/tmp'),
  ];
  const result = spawnSync(join(UNPACKED, 'usr/bin/podman'), [...places, '--runtime', host.runtime, ...args], {
    env: {
      PATH: process.env['PATH'],
      LD_LIBRARY_PATH: join(UNPACKED, 'usr/lib/x86_64-linux-gnu'),
      CONTAINERS_CONF: join(folder, 'containers.conf'),
      CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
    },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

const run = (options: readonly string[], ...command: string[]): Outcome =>
  podman('run', '--network', 'none', ...options, '--rootfs', rootfs, ...command);

describe('podman with atoll-oci', { timeout: 180_000 }, () => {
  // Podman waits 20 s for the group of its own monitor when a container goes: few containers, much looked at in each.
  test.each([
    ['a code and both streams', [], 'echo out; echo err >&2; exit 4', 4, 'out\n', 'err\n'],
    [
      'a user with groups, limits, capabilities and its default seccomp profile',
      [
        '--user',
        '7:8',
        '--group-add',
        '9',
        '--pids-limit',
        '44',
        '--cap-drop',
        'all',
        '--read-only',
        '--read-only-tmpfs=false',
        '-t',
      ],
      'id -u; id -G; cat /sys/fs/cgroup/pids/pids.max; grep -E "CapBnd|^Seccomp:" /proc/self/status; [ -t 0 ] && echo terminal',
      0,
      '7\r\n8 9\r\n44\r\nCapBnd:\t0000000000000000\r\nSeccomp:\t2\r\nterminal\r\n',
      '',
    ],
  ] as [string, string[], string, number, string, string][])(
    'run: %s',
    (_name, options, script, code, stdout, stderr) => {
      expect(run(['--rm', ...options], 'sh', '-c', script)).toEqual({ code, stdout, stderr });
    },
  );

  test('a program that is not there', () => {
    const result = run(['--rm'], 'nothing-here');
    expect(result.code).toBe(127);
    expect(result.stderr).toContain('executable file not found in $PATH');
  });

  test('run -d, exec, pause, unpause, kill, wait, rm', () => {
    const started = run(['-d', '--name', 'box'], 'sleep', '600');
    expect(started.code, started.stderr).toBe(0);
    const id = started.stdout.trim();
    expect(podman('exec', '-e', 'A=b', 'box', 'sh', '-c', 'echo $A; exit 6')).toMatchObject({ code: 6, stdout: 'b\n' });
    expect(podman('pause', 'box').code).toBe(0);
    expect(podman('inspect', '-f', '{{.State.Status}}', 'box').stdout).toBe('paused\n');
    expect(podman('exec', 'box', 'true').code).not.toBe(0);
    expect(podman('unpause', 'box').code).toBe(0);
    expect(podman('kill', 'box').code).toBe(0);
    expect(podman('wait', 'box').stdout).toBe('137\n');
    expect(podman('rm', 'box').code).toBe(0);
    expect(
      execFileSync('sh', ['-c', `ls -d /sys/fs/cgroup/*/libpod_parent/libpod-${id} 2>/dev/null; true`], {
        encoding: 'utf8',
      }),
    ).toBe('');
  });
});
