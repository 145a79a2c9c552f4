import { connect } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { atoll } from './lib/cluster.ts';
import { docker, dockerOk, runOn, TestContainer, unique } from './lib/docker.ts';
import { type RunResult, run } from './lib/run.ts';
import { killAndWait, pidOf } from './lib/services.ts';
import { until } from './lib/until.ts';

const hosts = inject('hosts');
const [h1 = '', h2 = '', h3 = ''] = hosts;
const cluster = { name: inject('clusterName'), dataRoot: inject('dataRoot') };
const address = new Map<string, string>();
const at = (host: string): string => address.get(host) ?? '';

beforeAll(async () => {
  for (const host of hosts) {
    await using container = await runOn(host, [], ['true']);
    address.set(host, await container.inspect('.Node.IP'));
  }
});

const serve = (text: string, port = 80): string[] => ['nc', '-ll', '-p', String(port), '-e', 'echo', text];

/** What a server says to this machine; its error's code when it says nothing. */
function said(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port, timeout: 2_000 });
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text.trim()));
    socket.on('timeout', () => resolve('ETIMEDOUT'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('close', () => resolve(text.trim()));
    socket.on('timeout', () => socket.destroy());
  });
}

const everywhere = (): string[] => [...hosts.map(at), '127.0.0.1', '::1'];
const answers = (addresses: readonly string[], port: number): Promise<string[]> =>
  Promise.all(addresses.map((one) => said(one, port)));

/** Waits until each of them says the same; the last answers tell what was wrong. */
async function say(addresses: readonly string[], port: number, text: string): Promise<void> {
  let last: string[] = [];
  await until(`${text} at ${addresses.join(' ')} port ${port}`, async () => {
    last = await answers(addresses, port);
    return last.every((one) => one === text);
  }).catch((error: Error) => {
    throw new Error(`${error.message}; got ${last.join(', ')}`);
  });
}
const refused = (port: number, addresses = everywhere()): Promise<void> => say(addresses, port, 'ECONNREFUSED');

const inHost = (host: string, ...command: string[]): Promise<RunResult> =>
  run('nsenter', [`--net=/proc/${pidOf(host)}/ns/net`, ...command]);
const fromHost = async (host: string, to: string, port: number): Promise<string> =>
  (await inHost(host, 'busybox', 'nc', '-w', '2', to, String(port))).stdout.trim();
const fromInside = async (container: string, to: string, port: number): Promise<string> =>
  (await docker(['exec', container, 'nc', '-w', '2', to, String(port)])).stdout.trim();

/** `atoll port …` of this checkout. */
const port = (verb: string, ...args: string[]): Promise<RunResult> =>
  run(join(import.meta.dirname, '..', 'atoll'), [
    'port', verb, '--name', cluster.name, '--data-root', cluster.dataRoot, ...args,
  ]); // biome-ignore format: one command

describe('a published port', () => {
  test('answers on every host, here, from hosts, and from containers, while the container runs', async () => {
    await using web = await runOn(h2, ['-p', '18200:80'], serve('web'));
    await using beside = await runOn(h2, [], ['sleep', '600']);
    await using other = await runOn(h3, [], ['sleep', '600']);
    await say(everywhere(), 18200, 'web');
    for (const host of hosts) {
      for (const from of hosts) expect(await fromHost(from, at(host), 18200), `${from} to ${host}`).toBe('web');
      for (const { name } of [web, beside, other]) expect(await fromInside(name, at(host), 18200)).toBe('web');
    }
    await dockerOk(['stop', '-t', '0', web.name]);
    await refused(18200);
    await dockerOk(['start', web.name]);
    await say(everywhere(), 18200, 'web');
    await dockerOk(['rm', '-f', web.name]);
    await refused(18200);
  });

  test('of a container in a network of a user, reached from another one and by names', async () => {
    const net = unique('e2e-net');
    await dockerOk(['network', 'create', net]);
    try {
      await using web = await runOn(h1, ['--network', net, '-p', '18201:80'], serve('net'));
      await using other = await runOn(h3, ['--network', net], ['sleep', '600']);
      await say(everywhere(), 18201, 'net');
      for (const { name } of [web, other]) expect(await fromInside(name, at(h3), 18201)).toBe('net');
      expect(await fromInside(other.name, web.name, 80)).toBe('net');
    } finally {
      await docker(['network', 'rm', net]);
    }
  });

  test('is one of the whole cluster: a second one is refused in docker words and leaves nothing', async () => {
    await using first = await runOn(h1, ['-p', '18202:80'], serve('first'));
    await using second = new TestContainer(unique('e2e'));
    const args = ['--name', second.name, '-l', `atoll.constraints=node.hostname==${h2}`, '-p', '18203:81'];
    const result = await docker(['run', '-d', ...args, '-p', '18202:80', 'busybox', ...serve('second')]);
    expect(result.code).toBe(125);
    expect(result.stderr).toContain('Bind for 0.0.0.0:18202 failed: port is already allocated');
    expect(await second.inspect('.State.Status')).toBe('created');
    await refused(18203);
    await say(everywhere(), 18202, 'first');
    await dockerOk(['stop', '-t', '0', first.name]);
    await dockerOk(['start', second.name]);
    await say(everywhere(), 18202, 'second');
    expect((await docker(['start', first.name])).stderr).toContain('port is already allocated');
  });

  test('ranges, of host ports and of both', async () => {
    await using stack = new AsyncDisposableStack();
    const taken = new Set<string>();
    for (const host of [h1, h2]) {
      const one = stack.use(await runOn(host, ['-p', '18210-18211:80'], serve('range')));
      taken.add(await dockerOk(['port', one.name, '80']));
      expect(await one.inspect<object>('.HostConfig.PortBindings')).toEqual({
        '80/tcp': [{ HostIp: '', HostPort: '18210-18211' }],
      });
    }
    expect([...taken].sort()).toEqual(['0.0.0.0:18210', '0.0.0.0:18211']);
    for (const number of [18210, 18211]) await say(hosts.map(at), number, 'range');
    const third = new TestContainer(unique('e2e'));
    stack.use(third);
    const none = await docker(['run', '-d', '--name', third.name, '-p', '18210-18211:80', 'busybox', 'true']);
    expect(none.stderr).toContain('Bind for 0.0.0.0:18210-18211 failed: all ports are allocated');
    const both = stack.use(await runOn(h3, ['-p', '18212-18213:80-81'], serve('81', 81)));
    await say(hosts.map(at), 18213, '81');
    expect(await dockerOk(['port', both.name, '80/tcp'])).toBe('0.0.0.0:18212');
  });

  test('on loopback: on this machine only', async () => {
    await using _ = await runOn(h2, ['-p', '127.0.0.1:18220:80'], serve('here'));
    await say(['127.0.0.1'], 18220, 'here');
    await refused(18220, ['::1', at(h1), at(h3)]);
  });

  test('on the address of one host: the container goes there, and only that address answers', async () => {
    await using container = new TestContainer(unique('e2e'));
    await dockerOk(['run', '-d', '--name', container.name, '-p', `${at(h3)}:18221:80`, 'busybox', ...serve('there')]);
    expect(await container.inspect('.Node.Name')).toBe(h3);
    await say([at(h3)], 18221, 'there');
    await refused(18221, [at(h1), at(h2), '127.0.0.1']);
    expect(await dockerOk(['port', container.name])).toBe(`80/tcp -> ${at(h3)}:18221`);
  });

  test('of mode host: on the own host only, on each host one', async () => {
    await using _ = await runOn(h1, ['-l', 'atoll.publish=host', '-p', '18222:80'], serve('one'));
    await using __ = await runOn(h2, ['-l', 'atoll.publish=host', '-p', '18222:80'], serve('two'));
    await say([at(h1)], 18222, 'one');
    await say([at(h2)], 18222, 'two');
    await refused(18222, [at(h3), '127.0.0.1']);
    const wrong = await docker(['run', '-l', 'atoll.publish=node', 'busybox', 'true']);
    expect(wrong.stderr).toContain('invalid value for label atoll.publish: "node", want ingress or host');
  });

  test('follows a container to another host, and goes with a host that dies', async () => {
    await using moving = new TestContainer(unique('e2e'));
    const constraint = ['-l', `atoll.constraints=node.hostname!=${h1}`];
    await dockerOk(['run', '-d', '--name', moving.name, ...constraint, '--restart', 'always', '-p', '18230:80', 'busybox', ...serve('moving')]); // biome-ignore format: one command
    const victim = await moving.inspect('.Node.Name');
    const left = hosts.filter((host) => host !== victim);
    await using dying = await runOn(victim, ['-p', '18231:80'], serve('dying'));
    await say(everywhere(), 18230, 'moving');
    await say(everywhere(), 18231, 'dying');
    await atoll(cluster, ['host', 'kill', victim]);
    try {
      await say([...left.map(at), '127.0.0.1'], 18230, 'moving');
      expect(await moving.inspect('.Node.Name')).not.toBe(victim);
      await refused(18231, [...left.map(at), '127.0.0.1']);
      expect(await dying.inspect('.State.Status')).toBe('dead');
    } finally {
      await atoll(cluster, ['host', 'start', victim]);
    }
    await until('the host to forward again', async () => (await said(at(victim), 18230)) === 'moving', 60_000);
  });

  test('F36: a cable that is cut and plugged in again: ports and networks go on', async () => {
    const net = unique('e2e-net');
    await dockerOk(['network', 'create', net]);
    try {
      await using web = await runOn(h2, ['--network', net, '-p', '18240:80'], serve('web'));
      await using client = await runOn(h3, ['--network', net], ['sleep', '600']);
      const pid = await client.inspect<number>('.State.Pid');
      // By address and from the host: a container of a host that is cut off cannot be asked through the cluster.
      const to = await web.inspect(`(index .NetworkSettings.Networks "${net}").IPAddress`);
      const reaches = async (): Promise<boolean> => {
        const ping = await run('nsenter', [`--net=/proc/${pid}/ns/net`, 'busybox', 'ping', '-c', '1', '-W', '1', to]);
        return ping.code === 0;
      };
      await say(hosts.map(at), 18240, 'web');
      await until('the network to carry', reaches);
      for (const cut of [h2, h3]) {
        await atoll(cluster, ['host', 'cut', cut]);
        try {
          expect(await reaches()).toBe(false);
        } finally {
          await atoll(cluster, ['host', 'heal', cut]);
        }
        await until('the network to carry again', reaches);
        await say(hosts.map(at), 18240, 'web');
      }
    } finally {
      await docker(['network', 'rm', net]);
    }
  });

  test('connections go on, and new ones come, while the agents of both hosts are killed', async () => {
    const echo = ['nc', '-ll', '-p', '80', '-e', 'sh', '-c', 'echo hello; cat'];
    await using _ = await runOn(h2, ['-p', '18241:80'], echo);
    let heard = '';
    const greeted = async (): Promise<boolean> => heard.includes('hello');
    let socket = connect({ host: at(h1), port: 18241 });
    await until('the server', async () => {
      if (await greeted()) return true;
      socket.destroy();
      socket = connect({ host: at(h1), port: 18241 });
      socket.on('data', (chunk) => {
        heard += String(chunk);
      });
      socket.on('error', () => undefined);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return greeted();
    });
    for (const host of [h1, h2]) {
      await killAndWait(host);
      socket.write(`after ${host}\n`);
      await until('the echo', async () => heard.includes(`after ${host}`));
    }
    socket.destroy();
  });
});

describe('ports of a container that runs', () => {
  test('are published, shown, kept over restarts of container and agent, and withdrawn', async () => {
    await using web = await runOn(h2, [], serve('added'));
    const added = await port('add', web.name, '18250:80', '127.0.0.1:18251:80');
    expect(added).toMatchObject({ code: 0, stdout: '80/tcp -> 0.0.0.0:18250\n80/tcp -> 127.0.0.1:18251\n' });
    await say(everywhere(), 18250, 'added');
    await say(['127.0.0.1'], 18251, 'added');
    expect(await dockerOk(['port', web.name])).toBe('80/tcp -> 0.0.0.0:18250\n80/tcp -> 127.0.0.1:18251');
    expect(await dockerOk(['ps', '--filter', `name=${web.name}`, '--format', '{{.Ports}}'])).toContain(
      '0.0.0.0:18250->80/tcp',
    );
    expect(await web.inspect<object>('.HostConfig.PortBindings')).toEqual({
      '80/tcp': [
        { HostIp: '', HostPort: '18250' },
        { HostIp: '127.0.0.1', HostPort: '18251' },
      ],
    });
    await dockerOk(['restart', '-t', '0', web.name]);
    await say(everywhere(), 18250, 'added');
    await killAndWait(h2);
    await say(everywhere(), 18250, 'added');
    const removed = await port('remove', web.name, '18250:80');
    expect(removed).toMatchObject({ code: 0, stdout: '80/tcp -> 0.0.0.0:18250\n' });
    await refused(18250);
    await say(['127.0.0.1'], 18251, 'added');
    expect((await port('remove', web.name, '80')).code).toBe(0);
    await refused(18251);
    expect(await dockerOk(['port', web.name])).toBe('');
  });

  test('a picked port, and one of a container in a network of a user', async () => {
    const net = unique('e2e-net');
    await dockerOk(['network', 'create', net]);
    try {
      await using web = await runOn(h3, ['--network', net], serve('net'));
      const { stdout } = await port('add', web.name, '80');
      const number = Number(/^80\/tcp -> 0\.0\.0\.0:(\d+)\n$/.exec(stdout)?.[1]);
      expect(number).toBeGreaterThanOrEqual(32_768);
      await say(everywhere(), number, 'net');
    } finally {
      await docker(['network', 'rm', net]);
    }
  });

  test('what is wrong is refused, and nothing changes', async () => {
    await using first = await runOn(h1, ['-p', '18260:80'], serve('first'));
    await using web = await runOn(h2, [], serve('web'));
    const taken = await port('add', web.name, '18261:80', '18260:80');
    expect(taken.code).toBe(1);
    expect(taken.stderr).toContain('Bind for 0.0.0.0:18260 failed: port is already allocated');
    expect((await port('add', web.name, 'x')).code).toBe(2);
    expect((await port('add', 'nosuch', '80')).stderr).toContain('No such container: nosuch');
    expect((await port('remove', web.name, '18260:80')).stderr).toContain(`${web.name} does not publish 18260:80/tcp`);
    await using host = await runOn(h2, ['--network', 'host'], ['sleep', '600']);
    expect((await port('add', host.name, '80')).stderr).toContain('has the network mode host');
    expect(await dockerOk(['port', web.name])).toBe('');
    await refused(18261);
    await say(everywhere(), 18260, 'first');
    expect(await dockerOk(['port', first.name])).toBe('80/tcp -> 0.0.0.0:18260');
  });
});
