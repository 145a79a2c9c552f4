import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CAPABILITY_NAMES, capabilitySets } from './capabilities.ts';
import { execShim } from './exec-shim.ts';
import type { PreparedContainer } from './launch-shim.ts';
import type { ContainerPlan, ProcessPlan } from './plan.ts';
import { ShimClient } from './shim-client.ts';
import { type Finished, TestHost, testProcess } from './testing/test-host.ts';

let host: TestHost;
let client: ShimClient;
let plan: ContainerPlan;
let container: PreparedContainer;

beforeAll(async () => {
  host = await TestHost.create();
  const bundle = await host.bundle();
  plan = host.plan(bundle, ['sleep', '600']);
  container = await host.launch(bundle, plan);
  client = await ShimClient.connect(bundle, () => {}, host.signal);
  await client.start(host.signal);
});
afterAll(async () => {
  await client.kill(9, 'init', host.signal);
  await client.closed;
  const left = await host.leftovers();
  await host[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

const exec = (argv: readonly string[], process: Partial<ProcessPlan> = {}): Promise<Finished> =>
  host.exec(plan, container, argv, process);

describe('an exec', () => {
  it('runs beside process 1, in its namespaces and cgroup', async () => {
    const result = await exec(['sh', '-c', 'hostname; cat /proc/1/cmdline | tr "\\0" " "; cat /proc/self/cgroup']);
    const [hostname, first, ...groups] = result.stdout.trim().split('\n');
    expect([hostname, first?.trim().split(' 0::')[0]?.slice(0, 9)]).toEqual(['box', 'sleep 600']);
    for (const group of groups) expect(group).toMatch(/:\/$/);
  });

  it.each([
    [['sh', '-c', 'exit 9'], 9],
    [['sh', '-c', 'kill -9 $$'], 137],
  ])('%j ends with %i', async (argv, code) => {
    expect((await exec(argv)).exit.code).toBe(code);
  });

  it('takes standard input and keeps the streams apart', async () => {
    const { session } = await execShim(
      host.spawner,
      {
        id: 'x',
        process: testProcess(['sh', '-c', 'cat; echo e >&2']),
        target: container.init,
        cgroupPath: plan.cgroup.path,
      },
      host.signal,
    );
    await session.writeStdin(Buffer.from('hello'));
    await session.endStdin();
    const seen = { stdout: '', stderr: '' };
    for await (const { stream, data } of session.output()) seen[stream] += data.toString();
    expect(seen).toEqual({ stdout: 'hello', stderr: 'e\n' });
    expect((await session.exit).code).toBe(0);
  });

  it('gets a terminal of the container and follows a change of size', async () => {
    const result = await exec(['sh', '-c', 'tty; stty size'], { tty: { rows: 10, cols: 20 } });
    expect(result.stdout.split('\r\n')[1]).toBe('10 20');
    expect(result.stdout).toMatch(/^\/dev\/pts\/\d/);
  });

  it('has exact capabilities, user, environment and folder', async () => {
    const result = await exec(['sh', '-c', 'grep CapEff /proc/self/status; id -u; echo $A; pwd'], {
      env: ['PATH=/bin', 'A=b'],
      cwd: '/bin/../etc',
    });
    expect(result.stdout).toBe('CapEff:\t00000000a80425fb\n0\nb\n/etc\n');
    const user = await exec(['sh', '-c', 'grep CapEff /proc/self/status; id -u'], {
      user: { kind: 'docker', user: 'ann' },
    });
    expect(user.stdout).toBe('CapEff:\t0000000000000000\n1000\n');
    const privileged = await exec(['sh', '-c', 'grep CapBnd /proc/self/status'], {
      capabilities: capabilitySets(CAPABILITY_NAMES),
      seccomp: undefined,
    });
    expect(Number.parseInt(privileged.stdout.slice(-10), 16)).toBeGreaterThan(0xa80425fb);
  });

  it('has only the three standard descriptors', async () => {
    expect((await exec(['probe', 'fds'])).stdout.trim()).toBe('0 1 2');
  });

  it.each([
    ['nothing', '127', 'exec: "nothing": executable file not found in $PATH'],
    ['/etc/passwd', '126', 'exec: "/etc/passwd": permission denied'],
  ])('fails for %s with exit code %s', async (name, exitCode, message) => {
    await expect(exec([name])).rejects.toMatchObject({ message, details: { exitCode } });
  });

  it.each([
    ['/missing', 'no such file or directory'],
    ['/etc/passwd', 'not a directory'],
    ['/bin/busybox/x', 'not a directory'],
  ])('in the folder %s fails with exit code 126 and makes nothing', async (cwd, why) => {
    const message = `chdir to cwd ("${cwd}") set in config.json failed: ${why}`;
    await expect(exec(['true'], { cwd })).rejects.toMatchObject({ message, details: { exitCode: '126' } });
    expect((await exec(['ls', '-d', '/missing'])).exit.code).toBe(1);
  });

  it('refuses a process that is not the one meant', async () => {
    const other = { ...container, init: { pid: container.init.pid, startTicks: container.init.startTicks + 1n } };
    await expect(host.exec(plan, other, ['true'])).rejects.toMatchObject({ reason: 'not-found' });
  });

  it('shows nothing of itself to the container while it joins', async () => {
    const spy = exec([
      'sh',
      '-c',
      'n=0; e=$(( $(date +%s) + 2 )); while [ $(date +%s) -lt $e ]; do for p in /proc/[0-9]*; do case "$(readlink $p/exe)" in *shim*) n=$((n+1));; esac; done; done; echo $n',
    ]);
    for (let round = 0; round < 40; round++) await exec(['true']);
    expect((await spy).stdout.trim()).toBe('0');
  });
});
