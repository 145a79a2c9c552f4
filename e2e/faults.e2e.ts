import { describe, expect, inject, test } from 'vitest';
import { atoll } from './lib/cluster.ts';
import { DockerStream, docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { killAndWait, killEverything } from './lib/services.ts';
import { until } from './lib/until.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
const cluster = { name: inject('clusterName'), dataRoot: inject('dataRoot') };

const ticker = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done'];

/** The numbers of the ticker's lines; they have to be 1, 2, 3, … without a gap. */
const ticks = (output: string): number[] => [...output.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
const isUnbroken = (numbers: readonly number[]): boolean =>
  numbers.every((n, i) => i === 0 || n === (numbers[i - 1] ?? 0) + 1);

test('an agent killed under twenty containers: they run on, and exits it missed are known', async () => {
  await using stack = new AsyncDisposableStack();
  const names = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const command = i < 5 ? ['sh', '-c', `sleep 2; exit ${10 + i}`] : ['sleep', '600'];
      const container = stack.use(await runOn(h2, [], command));
      return container.name;
    }),
  );
  const pids = (await dockerOk(['inspect', '-f', '{{.State.Pid}}', ...names])).split('\n');
  await killAndWait(h2);
  await until('the node to be seen again', async () => (await docker(['exec', names[10] ?? '', 'true'])).code === 0);
  const after = (await dockerOk(['inspect', '-f', '{{.State.Pid}}', ...names])).split('\n');
  expect(after.slice(5)).toEqual(pids.slice(5));
  for (const [i, name] of names.slice(0, 5).entries()) expect(await dockerOk(['wait', name])).toBe(String(10 + i));
});

test('logs -f goes on while the scheduler restarts', async () => {
  await using container = await runOn(h3, [], ticker);
  await using logs = new DockerStream(['logs', '-f', container.name]);
  await logs.saw('tick 3\n');
  await killAndWait('scheduler');
  const seen = ticks(logs.stdout).length;
  await until('more lines', async () => ticks(logs.stdout).length > seen + 20);
  expect(isUnbroken(ticks(logs.stdout))).toBe(true);
});

test('the gateway restarts during logs -f: the container does not notice and no line is missing', async () => {
  await using container = await runOn(h1, [], ticker);
  await using logs = new DockerStream(['logs', '-f', container.name]);
  await logs.saw('tick 3\n');
  await killAndWait('gateway');
  await logs.closed;
  await using again = new DockerStream(['logs', '-f', container.name]);
  await until('lines from after the restart', async () => ticks(again.stdout).length > ticks(logs.stdout).length + 20);
  expect(ticks(again.stdout)[0]).toBe(1);
  expect(isUnbroken(ticks(again.stdout))).toBe(true);
});

test('nats-server killed under writes: what was acknowledged is there', async () => {
  await using stack = new AsyncDisposableStack();
  const acknowledged: string[] = [];
  let stop = false;
  const writer = async (): Promise<void> => {
    while (!stop) {
      const name = unique('write');
      const result = await docker(['create', '--name', name, 'busybox', 'true']);
      stack.use(new TestContainer(name));
      if (result.code === 0) acknowledged.push(name);
    }
  };
  const writers = [writer(), writer(), writer()];
  try {
    await until('some writes', async () => acknowledged.length > 10);
    await killAndWait('nats-server');
    const before = acknowledged.length;
    await until('writes after the restart', async () => acknowledged.length > before + 10);
  } finally {
    stop = true;
    await Promise.all(writers);
  }
  await killAndWait('nats-server');
  await killAndWait('scheduler');
  await killAndWait('gateway');
  const listed = new Set((await dockerOk(['ps', '-a', '--format', '{{.Names}}'])).split('\n'));
  expect(acknowledged.filter((name) => !listed.has(name))).toEqual([]);
});

describe('a host dies', () => {
  test('restart policies decide who comes back, on another host; the rest is marked lost', async () => {
    await using kept = await runOn(h3, ['--restart', 'always'], ['sleep', '600']);
    await using free = new TestContainer(unique('free'));
    // Pinned containers cannot move, so this one is placed by spread until it is on the host that dies.
    await using stack = new AsyncDisposableStack();
    let node = '';
    for (let i = 0; node !== h3 && i < 12; i++) {
      await docker(['rm', '-f', free.name]);
      const filler = stack.use(new TestContainer(unique('filler')));
      await dockerOk(['run', '-d', '--name', free.name, '--restart', 'always', 'busybox', 'sleep', '600']);
      node = await free.inspect('.Node.Name');
      if (node !== h3)
        await dockerOk([
          'run',
          '-d',
          '--name',
          filler.name,
          '-l',
          `atoll.constraints=node.hostname==${node}`,
          'busybox',
          'sleep',
          '600',
        ]);
    }
    expect(node).toBe(h3);
    await using mortal = await runOn(h3, [], ['sleep', '600']);
    await atoll(cluster, ['host', 'kill', h3]);
    try {
      await until(
        'the container on another host',
        async () => (await free.inspect('.Node.Name')) !== h3 && (await free.inspect<boolean>('.State.Running')),
        30_000,
      );
      expect(await dockerOk(['exec', free.name, 'echo', 'alive'])).toBe('alive');
      await until('the other to be lost', async () => (await mortal.inspect('.State.Status')) === 'dead');
      expect(await mortal.inspect('.State.Error')).toContain(`host ${h3} is down`);
      // Its constraint names the dead host: it waits there and says why.
      expect(await kept.inspect('.State.Running')).toBe(false);
    } finally {
      await atoll(cluster, ['host', 'start', h3]);
    }
    await until('the pinned container to run again', async () => await kept.inspect<boolean>('.State.Running'), 60_000);
    expect(await free.inspect('.Node.Name')).not.toBe(h3);
  });
});

test('everything killed at once comes up again with containers, images and names', async () => {
  await using running = await runOn(h1, ['--restart', 'always'], ['sleep', '600']);
  await using stopped = await runOn(h2, [], ['sh', '-c', 'exit 9']);
  await until('the second to exit', async () => (await stopped.inspect('.State.Status')) === 'exited');
  const image = await dockerOk(['images', '-q', '--no-trunc', 'busybox']);
  killEverything();
  await atoll(cluster, ['up', '--detach']);
  expect(await dockerOk(['images', '-q', '--no-trunc', 'busybox'])).toBe(image);
  expect(await stopped.inspect('.State.ExitCode')).toBe(9);
  await until('the first to run', async () => await running.inspect<boolean>('.State.Running'), 60_000);
});
