import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachShim } from './attach-shim.ts';
import { defaultMounts } from './default-mounts.ts';
import type { MountPlan } from './plan.ts';
import { ShimClient } from './shim-client.ts';
import { buildInit } from './testing/shim-binary.ts';
import { collect, type Finished, TestHost } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

const INIT = '/sbin/docker-init';

function plan() {
  const mount: MountPlan = {
    kind: 'bind',
    source: buildInit(),
    target: INIT,
    flags: ['ro', 'nosuid', 'nodev'],
    recursive: false,
    propagation: 'rprivate',
  };
  return { plan: { mounts: [...defaultMounts({ privileged: false, shmBytes: 1 << 20 }), mount] } };
}

/** Runs a script under the init; `act` gets the shim once the script has written a first line. */
async function scripted(script: string, act?: (client: ShimClient) => Promise<void>): Promise<Finished> {
  const bundle = await host.bundle();
  await host.launch(bundle, host.plan(bundle, [INIT, '--', 'sh', '-c', script], plan()));
  using client = await ShimClient.connect(bundle, () => {}, host.signal);
  const session = await attachShim(bundle, { stdin: true, stdout: true, stderr: true }, host.signal);
  const watch = await attachShim(bundle, { stdin: false, stdout: true, stderr: false }, host.signal);
  const finished = collect(session);
  await client.start(host.signal);
  for await (const _line of watch.output()) break;
  watch.close();
  await act?.(client);
  const result = await finished;
  await client.closed;
  return result;
}

describe('the init of --init', () => {
  it.each([
    ['the code of the program', 'exit 42', 42],
    ['128 and the signal', 'kill -9 $$', 137],
  ])('ends with %s', async (_name, script, code) => {
    expect((await host.run([INIT, '--', 'sh', '-c', script], plan())).exit).toMatchObject({ code });
  });

  it.each([
    ['is not there', 'nothing-here', 127, 'No such file or directory'],
    ['cannot be run', '/etc/passwd', 126, 'Permission denied'],
  ])('says that the program %s', async (_name, program, code, why) => {
    const result = await host.run([INIT, '--', program], plan());
    expect(result.exit.code).toBe(code);
    expect(result.stderr).toBe(`docker-init: cannot run ${program}: ${why}\n`);
  });

  it('is pid 1, and the program has a process group of its own', async () => {
    const { stdout } = await host.run(
      [INIT, '--', 'sh', '-c', 'cat /proc/1/comm; echo $$; cut -d" " -f5 /proc/$$/stat'],
      plan(),
    );
    expect(stdout).toBe('docker-init\n2\n2\n');
  });

  it('hands signals on', async () => {
    const script = 'trap "echo got; exit 7" USR1; echo ready; while :; do sleep 0.05; done';
    const { exit, stdout } = await scripted(script, (client) => client.kill(10, 'init', host.signal));
    expect(stdout).toBe('ready\ngot\n');
    expect(exit.code).toBe(7);
  });

  it('lets a program die of SIGTERM that does not care for it, which pid 1 itself would not', async () => {
    const { exit } = await scripted('echo ready; exec sleep 60', (client) => client.kill(15, 'init', host.signal));
    expect(exit.code).toBe(143);
  });

  it('reaps what is left to it', async () => {
    const script = `(sh -c 'sleep 0.05 & echo $!' &) ; echo ready
      for i in $(seq 200); do
        [ "$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c "(sleep)")" = 0 ] && echo none && exit 0; sleep 0.02
      done; cat /proc/[0-9]*/stat | grep sleep`;
    const { stdout } = await scripted(script, () => sleep(0));
    expect(stdout.trim().split('\n').at(-1)).toBe('none');
  });

  it('cannot be changed from inside', async () => {
    const { stdout } = await host.run(
      [INIT, '--', 'sh', '-c', `probe open ${INIT} w; probe open /proc/1/exe w`],
      plan(),
    );
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/EROFS|ETXTBSY/),
      expect.stringMatching(/EROFS|ETXTBSY|EACCES/),
    ]);
  });
});
