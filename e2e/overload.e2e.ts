import { createConnection, type Socket } from 'node:net';
import { describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { canLowerScore, descriptorsOf, limitDescriptors, memoryOf, outOfMemoryScore } from './lib/processes.ts';
import { pidOf } from './lib/services.ts';
import { until } from './lib/until.ts';

const [h1 = '', h2 = '', h3 = ''] = inject('hosts');
const SERVICES = () => ['gateway', 'scheduler', 'registry', 'image-builder', h1, h2, h3];

/** Who cannot be accepted waits, and that is no answer either. */
const PATIENCE_MS = 8_000;

describe('F20: no descriptors left', { timeout: 120_000 }, () => {
  test.each([
    ['an agent', () => h2],
    ['the gateway', () => 'gateway'],
    ['the registry', () => 'registry'],
  ])('%s refuses, does not end, and works again afterwards with none lost', async (_name, service) => {
    await using container = await runOn(h2, [], ['sleep', '600']);
    await dockerOk(['exec', container.name, 'true']);
    const pid = pidOf(service());
    const before = descriptorsOf(pid);
    // Not one more: connections are kept, so a few would be enough for much.
    const restore = limitDescriptors(pid, 3);
    const image = unique('descriptors');
    try {
      const asked = Array.from({ length: 20 }, () =>
        docker(['exec', container.name, 'true'], { timeoutMs: PATIENCE_MS }),
      );
      const commits = Array.from({ length: 3 }, () =>
        docker(['commit', container.name, image], { timeoutMs: PATIENCE_MS }),
      );
      const codes = (await Promise.all([...asked, ...commits])).map(({ code }) => code);
      expect(
        codes.some((code) => code !== 0),
        'something was refused',
      ).toBe(true);
    } finally {
      restore();
    }
    await until('it to work again', async () => (await docker(['exec', container.name, 'true'])).code === 0);
    await dockerOk(['commit', container.name, image]);
    await docker(['rmi', '-f', image]);
    expect(pidOf(service())).toBe(pid);
    await until('its descriptors to be given back', async () => descriptorsOf(pid) <= before + 4);
  });
});

test('F21: a fork bomb stays in its container; the agent and its neighbours answer', async () => {
  await using bomb = await runOn(h1, ['--pids-limit', '300'], ['sh', '-c', 'f() { f | f & }; f; sleep 600']);
  await using neighbour = await runOn(h1, [], ['sleep', '600']);
  const pids = async () => Number(await dockerOk(['stats', '--no-stream', '--format', '{{.PIDs}}', bomb.name]));
  await until('the bomb to reach its limit', async () => (await pids()) > 200);
  expect(await pids()).toBeLessThanOrEqual(300);
  expect(await dockerOk(['exec', neighbour.name, 'echo', 'fine'])).toBe('fine');
  const on = ['run', '--rm', '-l', `atoll.constraints=node.hostname==${h1}`, 'busybox', 'echo', 'new'];
  expect(await dockerOk(on)).toBe('new');
  await dockerOk(['rm', '-f', bomb.name]);
});

describe('F22: no memory left', () => {
  test('in a container: it ends with 137 and says so, its neighbour and the agent do not', async () => {
    const agent = pidOf(h2);
    await using neighbour = await runOn(h2, ['-m', '64m'], ['sleep', '600']);
    await using hog = await runOn(h2, ['-m', '16m', '--restart', 'on-failure:1'], ['tail', '/dev/zero']);
    expect(await dockerOk(['wait', hog.name])).toBe('137');
    await until(
      'both runs to end',
      async () => (await hog.inspect<number>('.RestartCount')) === 1 && !(await hog.inspect<boolean>('.State.Running')),
    );
    expect(await hog.inspect('.State.OOMKilled')).toBe(true);
    expect(await neighbour.inspect('.State.Running')).toBe(true);
    expect(pidOf(h2)).toBe(agent);
  });

  test('of the host: containers go before services', async () => {
    await using container = await runOn(h1, [], ['cat', '/proc/self/oom_score_adj']);
    await dockerOk(['wait', container.name]);
    const inside = Number(await dockerOk(['logs', container.name]));
    expect(inside).toBe(Math.max(0, outOfMemoryScore(process.pid)));
    // Not applicable where the kernel does not let us: it then chooses by size.
    const want = canLowerScore() ? -500 : outOfMemoryScore(process.pid);
    expect(SERVICES().map((name) => outOfMemoryScore(pidOf(name)))).toEqual(SERVICES().map(() => want));
  });
});

describe('F40: readers that do not read', { timeout: 300_000 }, () => {
  const path = inject('dockerHost').replace('unix://', '');

  /** A request whose answer is never read. */
  function stuck(method: string, target: string): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path, () => {
        const upgrade = method === 'POST' ? 'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n' : '';
        socket.write(`${method} ${target} HTTP/1.1\r\nHost: docker\r\n${upgrade}\r\n`);
        resolve(socket);
      });
      socket.pause().once('error', reject);
    });
  }

  const READERS = 200;
  /** Sockets and queues of one, and what the collector has not looked at yet. */
  const MIB_EACH = 1.5;

  test('200 of them, of attach, logs and events: the container comes to its end, memory is bounded, others get all', async () => {
    const services = ['gateway', h3];
    const name = unique('slow');
    await using container = new TestContainer(name);
    // 64 MiB: far more than sockets hold.
    const script =
      'read go; yes 0123456789012345678901234567890123456789012345678901234567890123 | head -n 1000000; echo end';
    const on = ['-l', `atoll.constraints=node.hostname==${h3}`];
    await dockerOk([
      'create',
      '-i',
      '--name',
      name,
      '--log-opt',
      'max-size=100m',
      ...on,
      'busybox',
      'sh',
      '-c',
      script,
    ]);
    const before = services.map((service) => memoryOf(pidOf(service)));
    const sockets: Socket[] = [];
    try {
      await dockerOk(['start', name]);
      for (let i = 0; i < READERS; i++) {
        // A shim has 64 clients at most.
        if (i < 50) sockets.push(await stuck('POST', `/v1.51/containers/${name}/attach?stream=1&stdout=1&stderr=1`));
        else if (i < 130) sockets.push(await stuck('GET', `/v1.51/containers/${name}/logs?follow=1&stdout=1&stderr=1`));
        else sockets.push(await stuck('GET', '/v1.51/events?since=1'));
      }
      await dockerOk(['attach', name], { input: 'go\n', timeoutMs: 170_000 });
      await until('the container to end', async () => !(await container.inspect<boolean>('.State.Running')), 90_000);
      const after = services.map((service) => memoryOf(pidOf(service)));
      for (const [i, service] of services.entries()) {
        expect((after[i] ?? 0) - (before[i] ?? 0), `MiB more of ${service}`).toBeLessThan(READERS * MIB_EACH);
      }
      const all = await dockerOk(['logs', '--tail', '1000001', name], { timeoutMs: 120_000 });
      expect(all.length).toBe(65 * 1_000_000 + 'end'.length);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await dockerOk(['rm', name]);
    expect(await dockerOk(['run', '--rm', ...on, 'busybox', 'echo', 'fine'])).toBe('fine');
  });
});

/** F35 for as many minutes as CHURN_MINUTES says; in the suite for a number of containers. */
const MINUTES = Number(process.env['CHURN_MINUTES'] ?? 0);
test('F35: containers come and go, and nothing grows', { timeout: 300_000 + MINUTES * 60_000 }, async () => {
  const churn = async (): Promise<void> => {
    const id = await dockerOk(['create', '-p', '80', 'busybox', 'sleep', '600']);
    await dockerOk(['start', id]);
    await dockerOk(['stop', '-t', '0', id]);
    await dockerOk(['rm', '-v', id]);
  };
  const round = async (): Promise<void> => {
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 5; i++) await churn();
      }),
    );
  };
  const look = () =>
    SERVICES().map((name) => ({
      name,
      pid: pidOf(name),
      descriptors: descriptorsOf(pidOf(name)),
      memory: memoryOf(pidOf(name)),
    }));
  await round();
  const before = look();
  const end = performance.now() + MINUTES * 60_000;
  let rounds = 0;
  do {
    await round();
    rounds++;
  } while (rounds < 3 || performance.now() < end);
  for (const [i, was] of before.entries()) {
    const is = look()[i];
    expect(is?.pid, was.name).toBe(was.pid);
    await until(`${was.name} to give its descriptors back`, async () => descriptorsOf(was.pid) <= was.descriptors + 8);
    // Bytes a container that stay would show after a thousand; a short run is within what a collector leaves lying.
    expect((is?.memory ?? 0) - was.memory, `MiB more of ${was.name} after ${rounds * 20} containers`).toBeLessThan(80);
  }
});
