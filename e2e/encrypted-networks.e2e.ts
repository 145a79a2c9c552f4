import { describe, expect, inject, test } from 'vitest';
import { atoll } from './lib/cluster.ts';
import { docker, dockerOk, runOn, unique } from './lib/docker.ts';
import { killAndWait } from './lib/services.ts';
import { until } from './lib/until.ts';
import { Wire } from './lib/wire.ts';

const hosts = inject('hosts');
const [h1 = '', h2 = '', h3 = ''] = hosts;
const cluster = { name: inject('clusterName'), dataRoot: inject('dataRoot') };
const VXLAN = 4789;
const WIREGUARD = 7475;

async function withNetwork(args: readonly string[], use: (name: string) => Promise<void>): Promise<void> {
  const name = unique('e2e-net');
  await dockerOk(['network', 'create', ...args, name]);
  try {
    await use(name);
  } finally {
    await docker(['network', 'rm', name]);
  }
}

/** Answers every line with itself, at the name `echo`. */
const echo = (host: string, network: string) =>
  runOn(host, ['--network', network, '--network-alias', 'echo'], ['nc', '-ll', '-p', '7', '-e', 'cat']);

const asks = async (container: string, text: string): Promise<boolean> =>
  (await docker(['exec', container, 'sh', '-c', `echo ${text} | nc -w 2 echo 7`])).stdout.includes(text);

describe('docker network create --opt encrypted', () => {
  test('every host says that it can', async () => {
    const info = await dockerOk(['info', '--format', '{{json .DriverStatus}}']);
    const rows = (JSON.parse(info) as [string, string][]).filter(([name]) => name.includes('Encryption'));
    expect(rows.map(([, value]) => value)).toEqual(hosts.map(() => 'wireguard'));
  });

  test.each([
    [['-d', 'overlay', '--opt', 'encrypted'], 'encrypted', ''],
    [['-d', 'bridge', '--opt', 'encrypted=true'], 'encrypted', 'true'],
    [['-d', 'overlay', '--opt', 'encrypted=false'], 'clear', 'false'],
  ] as const)('%j: %s between hosts, and shown by inspect', async (args, kind, value) => {
    await withNetwork(args, async (name) => {
      expect(JSON.parse(await dockerOk(['network', 'inspect', '-f', '{{json .Options}}', name]))).toEqual({
        encrypted: value,
      });
      await using server = await echo(h1, name);
      await using near = await runOn(h1, ['--network', name], ['sleep', '600']);
      await using far = await runOn(h2, ['--network', name], ['sleep', '600']);
      await using other = await runOn(h3, ['--network', name], ['sleep', '600']);
      for (const from of [near, far, other]) await until('an answer', () => asks(from.name, 'ready'));
      await using wire = await Wire.listen(cluster, 1);
      const marker = unique('marker');
      for (const from of [far, other]) expect(await asks(from.name, marker)).toBe(true);
      const seen = [wire.holding(marker) > 0, wire.toPort(VXLAN) > 0, wire.toPort(WIREGUARD) > 0];
      expect(seen).toEqual(kind === 'clear' ? [true, true, false] : [false, false, true]);
      expect(await server.inspect('.State.Running')).toBe(true);
    });
  });

  test.each([
    ['--opt', 'encrypted=false'],
    ['--opt', 'encrypted'],
  ])('what a container says first gets there, also to hosts that forget its own in between: %s %s', async (...args) => {
    await withNetwork(args, async (name) => {
      await using _ = await echo(h1, name);
      const on = ['--network', name, '-l', `atoll.constraints=node.hostname==${h2}`];
      let answers = 0;
      for (let round = 0; round < 6; round++) {
        const { code } = await docker(['run', '--rm', ...on, 'busybox', 'ping', '-c', '1', '-W', '1', 'echo']);
        if (code === 0) answers++;
      }
      // A busy machine may be late once; without care it is one in six.
      expect(answers).toBeGreaterThan(3);
    });
  });

  test('goes on over a kill of an agent, and comes back with a host that lost its power', async () => {
    await withNetwork(['--opt', 'encrypted'], async (name) => {
      await using _server = await echo(h1, name);
      await using far = await runOn(h2, ['--network', name], ['sleep', '600']);
      await until('an answer', () => asks(far.name, 'ready'));
      await using wire = await Wire.listen(cluster, 1);
      const marker = unique('marker');
      await killAndWait(h2);
      await until('an answer', () => asks(far.name, marker));
      await atoll(cluster, ['host', 'kill', h3]);
      await atoll(cluster, ['host', 'start', h3]);
      await until('the host to take containers', async () => {
        const made = await docker(['run', '--rm', '-l', `atoll.constraints=node.hostname==${h3}`, 'busybox', 'true']);
        return made.code === 0;
      });
      await using back = await runOn(h3, ['--network', name], ['sleep', '600']);
      await until('an answer', () => asks(back.name, marker));
      expect([wire.holding(marker), wire.toPort(VXLAN)]).toEqual([0, 0]);
      expect(wire.toPort(WIREGUARD)).toBeGreaterThan(0);
    });
  });
});
