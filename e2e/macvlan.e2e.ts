import { execFileSync } from 'node:child_process';
import { clusterNames } from '@atoll/hosts';
import { describe, expect, inject, test } from 'vitest';
import { docker, dockerOk, runOn, type TestContainer, unique } from './lib/docker.ts';
import { run } from './lib/run.ts';

const [h1 = '', h2 = ''] = inject('hosts');

/** The wire between the hosts: this machine is on it too, and no host of the cluster. */
const { bridge } = clusterNames(`${inject('clusterName')} ${inject('dataRoot')}`);
const wire = wireOf(execFileSync('ip', ['-json', '-4', 'addr', 'show', 'dev', bridge], { encoding: 'utf8' }));

function wireOf(json: string): { readonly machine: string; readonly subnet: string; readonly prefix: string } {
  const [found] = JSON.parse(json) as { addr_info: { local: string; prefixlen: number }[] }[];
  const { local = '', prefixlen = 0 } = found?.addr_info[0] ?? {};
  const number = local.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const first = number - (number % 2 ** (32 - prefixlen));
  const subnet = [24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.');
  return { machine: local, subnet: `${subnet}/${prefixlen}`, prefix: local.replace(/\d+$/, '') };
}

class Lan implements AsyncDisposable {
  readonly name = unique('e2e-lan');
  /** A macvlan network on the hosts' own wire. */
  static async create(...more: string[]): Promise<Lan> {
    const lan = new Lan();
    const options = ['-d', 'macvlan', '-o', 'parent=eth0', '--subnet', wire.subnet, '--gateway', wire.machine];
    await dockerOk(['network', 'create', ...options, ...more, lan.name]);
    return lan;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await docker(['network', 'rm', this.name]);
  }
}

const addressIn = async (container: TestContainer, network: string): Promise<string> =>
  (await container.inspect<Record<string, { IPAddress: string }>>('.NetworkSettings.Networks'))[network]?.IPAddress ??
  '';
const pingsFrom = async (container: TestContainer, name: string): Promise<number | null> =>
  (await docker(['exec', container.name, 'ping', '-c', '1', '-W', '3', name])).code;
const machinePings = async (address: string): Promise<number | null> =>
  (await run('busybox', ['ping', '-c', '1', '-W', '3', address])).code;

describe("a macvlan network on the hosts' own wire", { timeout: 120_000 }, () => {
  test('joins containers of two hosts, by name, and this machine; restarts keep addresses', async () => {
    await using lan = await Lan.create();
    const [inspected] = JSON.parse(await dockerOk(['network', 'inspect', lan.name])) as object[];
    expect(inspected).toMatchObject({
      Driver: 'macvlan',
      Scope: 'local',
      Options: { parent: 'eth0' },
      IPAM: { Config: [{ Subnet: wire.subnet, Gateway: wire.machine }] },
    });
    const fixed = `${wire.prefix}200`;
    await using one = await runOn(h1, ['--network', lan.name], ['sleep', '600']);
    await using two = await runOn(
      h2,
      ['--network', lan.name, '--ip', fixed, '--network-alias', 'web', '-p', '18180:80'],
      ['httpd', '-f', '-p', '80'],
    );
    expect(await addressIn(two, lan.name)).toBe(fixed);
    expect(await pingsFrom(one, 'web')).toBe(0);
    expect(await pingsFrom(one, two.name)).toBe(0);
    expect(await pingsFrom(two, one.name)).toBe(0);
    expect(await pingsFrom(one, wire.machine)).toBe(0);
    expect(await machinePings(await addressIn(one, lan.name))).toBe(0);
    expect(await dockerOk(['exec', one.name, 'ip', 'route'])).toContain(`default via ${wire.machine} dev eth0`);
    // Reached where it is, not by a port of hosts.
    expect((await run('busybox', ['nc', '-w', '3', fixed, '80'], { input: 'GET / HTTP/1.0\r\n\r\n' })).stdout).toMatch(
      /^HTTP/,
    );
    expect(await dockerOk(['port', two.name])).toBe('');
    await dockerOk(['restart', '-t', '0', one.name, two.name]);
    expect(await addressIn(two, lan.name)).toBe(fixed);
    expect(await pingsFrom(one, 'web')).toBe(0);
    expect(await machinePings(fixed)).toBe(0);
  });

  test('is joined and left by a running container beside a network of its own', async () => {
    await using lan = await Lan.create('--internal');
    await using own = await runOn(h1, [], ['sleep', '600']);
    await using other = await runOn(h2, ['--network', lan.name], ['sleep', '600']);
    expect(await pingsFrom(own, other.name)).not.toBe(0);
    await dockerOk(['network', 'connect', '--alias', 'guest', lan.name, own.name]);
    expect(await pingsFrom(own, other.name)).toBe(0);
    expect(await pingsFrom(other, 'guest')).toBe(0);
    expect(await dockerOk(['exec', other.name, 'ip', 'route'])).not.toContain('default');
    await dockerOk(['network', 'disconnect', lan.name, own.name]);
    expect(await dockerOk(['exec', own.name, 'ls', '/sys/class/net'])).not.toContain('eth1');
  });

  test('goes as a whole: its subnet and interface are free again', async () => {
    const lan = await Lan.create('-o', 'macvlan_mode=private');
    const taken = await docker([
      'network',
      'create',
      '-d',
      'macvlan',
      '-o',
      'parent=eth0',
      '--subnet',
      wire.subnet,
      'x',
    ]);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining('Pool overlaps')]);
    await using one = await runOn(h1, ['--network', lan.name], ['sleep', '600']);
    const address = await addressIn(one, lan.name);
    expect(await machinePings(address)).toBe(0);
    const busy = await docker(['network', 'rm', lan.name]);
    expect([busy.code, busy.stderr]).toEqual([1, expect.stringContaining('has active endpoints')]);
    await dockerOk(['rm', '-f', one.name]);
    await dockerOk(['network', 'rm', lan.name]);
    expect(await machinePings(address)).not.toBe(0);
    await using _again = await Lan.create();
  });

  test.each([
    ['an interface no host has', ['-o', 'parent=eth77'], 'no host has an interface eth77 that is up'],
    ['no interface', [], 'a macvlan network without an interface of the hosts is not built'],
    ['an unknown mode', ['-o', 'parent=eth0', '-o', 'macvlan_mode=x'], 'want bridge, private, vepa, passthru'],
  ])('%s is refused', async (_name, args, part) => {
    const result = await docker(['network', 'create', '-d', 'macvlan', ...args, unique('e2e-lan')]);
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(part)]);
  });
});
