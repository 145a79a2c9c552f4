import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachShim } from './attach-shim.ts';
import { bundlePath } from './bundle.ts';
import { FrameSession } from './frame-session.ts';
import { FRAME } from './frames.ts';
import { launchShim, type PreparedContainer } from './launch-shim.ts';
import { readLog } from './logs/read-log.ts';
import type { ContainerPlan } from './plan.ts';
import { ShimClient } from './shim-client.ts';
import { runShim } from './shim-process.ts';
import type { ShimState } from './shim-state.ts';
import { collect, type PlanChanges, TestHost, waitGone } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

interface Running {
  readonly bundle: string;
  readonly plan: ContainerPlan;
  readonly container: PreparedContainer;
  readonly client: ShimClient;
  readonly states: ShimState[];
}

async function prepare(argv: readonly string[], changes: PlanChanges = {}): Promise<Running> {
  const bundle = await host.bundle();
  const plan = host.plan(bundle, argv, changes);
  const container = await host.launch(bundle, plan);
  const states: ShimState[] = [];
  const client = await ShimClient.connect(bundle, (state) => states.push(state), host.signal);
  return { bundle, plan, container, client, states };
}

async function start(argv: readonly string[], changes: PlanChanges = {}): Promise<Running> {
  const running = await prepare(argv, changes);
  await running.client.start(host.signal);
  return running;
}

async function logText(bundle: string): Promise<string> {
  let text = '';
  const options = { stdout: true, stderr: true, follow: false, signal: host.signal };
  for await (const records of readLog(join(bundle, 'log'), options))
    for (const { data } of records) text += data.toString();
  return text;
}

describe('the life of a container', () => {
  it('goes from created to running to exited, and is on disk before it is told', async () => {
    const { bundle, client, states, container } = await prepare(['sh', '-c', 'echo out; exit 3']);
    expect(await client.state(host.signal)).toMatchObject({ status: 'created', pid: container.init.pid });
    await client.start(host.signal);
    await client.closed;
    expect(states.map(({ status }) => status)).toEqual(['created', 'running', 'exited']);
    const record = JSON.parse(await readFile(bundlePath(bundle, 'exit'), 'utf8'));
    expect(record).toMatchObject({ code: 3, signal: 0, oomKilled: false, lost: false });
    expect(BigInt(record.finishedAt)).toBe(states.at(-1)?.finishedAt);
    expect(await logText(bundle)).toBe('out\n');
    expect((await readdir(bundle)).sort()).toEqual(['exit', 'log', 'plan', 'upper', 'work']);
    await waitGone(container.shim.pid);
  });

  it('starts once only', async () => {
    const { client } = await start(['sleep', '60']);
    await expect(client.start(host.signal)).rejects.toMatchObject({ reason: 'conflict' });
    await client.kill(9, 'init', host.signal);
    await client.closed;
  });

  it('ends by a signal', async () => {
    const { client, states } = await start(['sleep', '60']);
    await client.kill(9, 'init', host.signal);
    await client.closed;
    expect(states.at(-1)).toMatchObject({ status: 'exited', code: 137, signal: 9, oomKilled: false });
  });

  it('reports a signal that does not exist', async () => {
    const { client } = await start(['sleep', '60']);
    await expect(client.kill(99, 'init', host.signal)).rejects.toMatchObject({ details: { step: 'signal' } });
    await client.kill(9, 'all', host.signal);
    await client.closed;
  });

  it('stands still while paused and goes on afterwards', async () => {
    const { client, states, bundle } = await start([
      'sh',
      '-c',
      'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done',
    ]);
    await sleep(50);
    await client.pause(host.signal);
    const before = await logText(bundle);
    await sleep(100);
    const after = await logText(bundle);
    await expect(client.pause(host.signal)).rejects.toMatchObject({ reason: 'conflict' });
    await client.unpause(host.signal);
    await sleep(50);
    const later = await logText(bundle);
    await client.kill(9, 'init', host.signal);
    await client.closed;
    // What was on its way into the log at the moment of the pause may still arrive.
    expect(after.length - before.length).toBeLessThan(64);
    expect(later.length).toBeGreaterThan(after.length);
    expect(states.map(({ status }) => status)).toEqual(['created', 'running', 'paused', 'running', 'exited']);
  });

  it('is killed while paused', async () => {
    const { client, states } = await start(['sleep', '60']);
    await client.pause(host.signal);
    await client.kill(9, 'init', host.signal);
    await client.closed;
    expect(states.at(-1)?.code).toBe(137);
  });

  it('changes its limits', async () => {
    const { client, plan } = await start(['sleep', '60']);
    await client.update({ pids: 33, memory: 64n << 20n, memoryAndSwap: 96n << 20n }, host.signal);
    const { stdout } = await import('node:child_process').then(({ spawnSync }) =>
      spawnSync(
        'sh',
        ['-c', `cat /sys/fs/cgroup/pids${plan.cgroup.path}/pids.max || cat /sys/fs/cgroup${plan.cgroup.path}/pids.max`],
        { encoding: 'utf8' },
      ),
    );
    expect(stdout.trim()).toBe('33');
    await client.kill(9, 'init', host.signal);
    await client.closed;
  });

  it('is taken down before it was ever started', async () => {
    const { client, container, bundle } = await prepare(['sleep', '60']);
    await client.shutdown(host.signal);
    await client.closed;
    await waitGone(container.init.pid);
    await waitGone(container.shim.pid);
    expect(existsSync(bundlePath(bundle, 'exit'))).toBe(false);
    expect(await host.leftovers()).toEqual([]);
  });

  it('ends with the connection that launched it when it was never started', async () => {
    const { container, bundle } = await prepare(['sleep', '60']);
    container.client.close();
    await waitGone(container.init.pid);
    await waitGone(container.shim.pid);
    expect(existsSync(bundlePath(bundle, 'exit'))).toBe(false);
    expect(await host.leftovers()).toEqual([]);
  });

  it('goes on without the connection that launched it once it was started', async () => {
    const { container, client } = await start(['sleep', '60']);
    container.client.close();
    expect(await client.state(host.signal)).toMatchObject({ status: 'running', pid: container.init.pid });
    await client.kill(9, 'init', host.signal);
    await client.closed;
  });

  it.each([0, 1, 3, 6, 10])('leaves nothing of a launch that is given up after %i ms', async (ms) => {
    const bundle = await host.bundle();
    const given = new AbortController();
    const plan = host.plan(bundle, ['sleep', '60']);
    const launched = launchShim(host.spawner, { bundle, files: [], plan }, () => {}, given.signal);
    setTimeout(() => given.abort(new Error('given up')), ms);
    const outcome = await launched.then(
      ({ client }) => client,
      (error: Error) => error.message,
    );
    // The slower machine has given it up in time, the faster one may not.
    if (typeof outcome === 'string') expect(outcome).toBe('given up');
    else await outcome.shutdown(host.signal);
    if (typeof outcome !== 'string') await outcome.closed;
    expect(await host.leftovers()).toEqual([]);
  });

  it('leaves no process of its tree behind', async () => {
    const { client, container } = await start([
      'sh',
      '-c',
      'for i in 1 2 3 4 5; do (setsid sleep 600 &) ; done; sleep 0.1',
    ]);
    await client.closed;
    await waitGone(container.shim.pid);
    expect(await host.leftovers()).toEqual([]);
  });

  it('cannot be prepared twice at the same time', async () => {
    const { client, bundle, container, plan } = await start(['sleep', '60']);
    expect(existsSync(bundlePath(bundle, 'socket'))).toBe(true);
    await expect(runShim(host.shim, ['cleanup', bundle], host.signal)).rejects.toMatchObject({ reason: 'conflict' });
    await client.kill(9, 'init', host.signal);
    const again = await host.launch(bundle, { ...plan, process: { ...plan.process, argv: ['echo', 'second'] } });
    expect(again.shim.pid).not.toBe(container.shim.pid);
    using second = await ShimClient.connect(bundle, () => {}, host.signal);
    await second.start(host.signal);
    await second.closed;
    expect(await logText(bundle)).toBe('second\n');
  });
});

describe('a shim', () => {
  it('serves an agent that comes back', async () => {
    const { client, bundle, container } = await start(['sh', '-c', 'read x; exit 5'], { process: { stdin: 'open' } });
    client.close();
    using again = await ShimClient.connect(bundle, () => {}, host.signal);
    expect(await again.state(host.signal)).toMatchObject({ status: 'running', pid: container.init.pid });
    const session = await attachShim(bundle, { stdin: true, stdout: true, stderr: true }, host.signal);
    await session.writeStdin(Buffer.from('x\n'));
    expect((await collect(session)).exit.code).toBe(5);
  });

  it('takes its container with it when it is killed, and cleanup writes the end', async () => {
    const { bundle, container } = await start(['sleep', '60']);
    process.kill(container.shim.pid, 'SIGKILL');
    await waitGone(container.init.pid);
    await runShim(host.shim, ['cleanup', bundle], host.signal);
    await runShim(host.shim, ['cleanup', bundle], host.signal);
    expect(JSON.parse(await readFile(bundlePath(bundle, 'exit'), 'utf8'))).toMatchObject({ code: 137, lost: true });
    expect(await host.leftovers()).toEqual([]);
  });

  it('gives every attached client all output and the exit', async () => {
    const { bundle, client } = await prepare(['sh', '-c', 'for i in 1 2 3; do echo $i; done']);
    const sessions = await Promise.all(
      [1, 2, 3].map(() => attachShim(bundle, { stdin: false, stdout: true, stderr: true }, host.signal)),
    );
    const results = sessions.map(collect);
    await client.start(host.signal);
    for (const result of await Promise.all(results))
      expect(result).toMatchObject({ stdout: '1\n2\n3\n', exit: { code: 0 } });
  });

  it('is not held up by a reader that may be dropped', async () => {
    const { bundle, client } = await prepare(['sh', '-c', 'head -c 3000000 /dev/zero; echo done >&2']);
    const slow = await attachShim(
      bundle,
      { stdin: false, stdout: true, stderr: true, stallMilliseconds: 0 },
      host.signal,
    );
    await client.start(host.signal);
    await client.closed;
    expect((await logText(bundle)).length).toBe(3_000_005);
    await expect(collect(slow)).rejects.toMatchObject({ reason: 'unavailable' });
  });

  it('F40: is held up once by many readers that stop reading one after the other', async () => {
    // Each alone would hold it up for three seconds, all of them in turn for longer than this test may take.
    const { bundle, client } = await prepare(['sh', '-c', 'head -c 20000000 /dev/zero; echo done >&2']);
    const options = { stdin: false, stdout: true, stderr: false, stallMilliseconds: 3_000 };
    const stuck = await Promise.all(Array.from({ length: 12 }, () => attachShim(bundle, options, host.signal)));
    const reading = stuck.map(async (session, index) => {
      let bytes = 0;
      for await (const { data } of session.output()) {
        bytes += data.length;
        if (bytes > index * 1_500_000) await new Promise((resolve) => host.signal.addEventListener('abort', resolve));
      }
    });
    for (const one of reading) one.catch(() => undefined);
    await client.start(host.signal);
    await client.closed;
    expect((await logText(bundle)).length).toBe(20_000_005);
    for (const session of stuck) session.close();
  }, 25_000);

  it('waits for a reader that is only slow', async () => {
    const { bundle, client } = await prepare(['sh', '-c', 'head -c 3000000 /dev/zero']);
    const session = await attachShim(bundle, { stdin: false, stdout: true, stderr: false }, host.signal);
    await client.start(host.signal);
    await sleep(200);
    expect((await client.state(host.signal)).status).toBe('running');
    expect((await collect(session)).stdout.length).toBe(3_000_000);
  });

  it('closes standard input when its once-client leaves', async () => {
    const { bundle, client } = await start(['cat']);
    const session = await attachShim(bundle, { stdin: true, stdout: true, stderr: true }, host.signal);
    session.close();
    await client.closed;
  });

  it('refuses a plan that is not one', async () => {
    const bundle = await host.bundle();
    const session = new FrameSession(await host.spawner.connect(host.signal));
    await session.send(FRAME.run, Buffer.from(bundle));
    await session.send(FRAME.plan, Buffer.from('nonsense'));
    await expect(session.expectReply(FRAME.plan, 'prepare')).rejects.toMatchObject({
      details: { step: 'read the plan', errno: 'EINVAL' },
    });
    session.close();
  });
});

describe('the log', () => {
  it('rotates and keeps the newest files', async () => {
    const { client } = await start(
      [
        'sh',
        '-c',
        'i=0; while [ $i -lt 4000 ]; do echo "line $i ................................................"; i=$((i+1)); done',
      ],
      {
        plan: { log: { directory: join(host.folder, 'rotating'), maxBytes: 40_000n, maxFiles: 3 } },
      },
    );
    await client.closed;
    const files = await readdir(join(host.folder, 'rotating'));
    expect(files).toHaveLength(3);
    const lines: string[] = [];
    const options = { stdout: true, stderr: true, follow: false, tail: 3, signal: host.signal };
    for await (const records of readLog(join(host.folder, 'rotating'), options)) {
      for (const { data } of records)
        for (const line of data.toString().trimEnd().split('\n')) lines.push(line.split(' ').slice(0, 2).join(' '));
    }
    expect(lines).toEqual(['line 3997', 'line 3998', 'line 3999']);
  });

  it('is followed to the end while the container writes', async () => {
    const { bundle, client } = await prepare([
      'sh',
      '-c',
      'for i in 1 2 3 4 5; do echo $i; echo e$i >&2; sleep 0.02; done; printf end',
    ]);
    const ended = new AbortController();
    void client.closed.then(() => ended.abort());
    await client.start(host.signal);
    const seen: string[] = [];
    const options = { stdout: true, stderr: false, follow: true, ended: ended.signal, signal: host.signal };
    for await (const records of readLog(join(bundle, 'log'), options))
      for (const { data } of records) seen.push(...data.toString().split(/(?<=\n)/));
    expect(seen).toEqual(['1\n', '2\n', '3\n', '4\n', '5\n', 'end']);
  });
});
