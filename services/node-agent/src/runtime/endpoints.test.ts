import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EndpointPlan, type EndpointsPlan, encodeEndpoints } from './endpoints-plan.ts';
import { ipBytes, ipText } from './ip-bytes.ts';
import { ShimClient } from './shim-client.ts';
import { TestHost } from './testing/test-host.ts';

const id = randomBytes(3).toString('hex');
const bridges = [`atollu${id}`, `atollw${id}`] as const;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
let host: TestHost;
let count = 2;

beforeAll(async () => {
  host = await TestHost.create();
  for (const bridge of bridges) {
    ip('link', 'add', bridge, 'type', 'bridge');
    ip('link', 'set', bridge, 'up');
  }
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  for (const bridge of bridges) ip('link', 'del', bridge);
});

function link(net: 0 | 1, name: string, more: Partial<EndpointPlan> = {}): EndpointPlan {
  const number = count++;
  return {
    bridge: bridges[net],
    hostInterface: `u${number}${id}`,
    containerInterface: name,
    addresses: [`10.21${net}.78.${number}/24`],
    macAddress: `02:42:0a:d${net}:4e:${number.toString(16).padStart(2, '0')}`,
    mtu: 1450,
    ...more,
  };
}

const plan = (links: readonly EndpointPlan[], more: Partial<EndpointsPlan> = {}): EndpointsPlan => ({
  links,
  gateways: [],
  ...more,
});

describe('addresses as bytes', () => {
  it.each([
    ['10.1.2.3', '0a010203'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['fd00:1::2', `fd000001${'00'.repeat(11)}02`],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'],
    ['fe80::', `fe80${'00'.repeat(14)}`],
  ])('%s there and back', (text, hex) => {
    expect(ipBytes(text).toString('hex')).toBe(hex);
    expect(ipText(ipBytes(text))).toBe(text);
  });
  it.each(['', '1.2.3', 'fe80::1%eth0', '::ffff:1.2.3.4', 'x'])('"%s" is none', (text) => {
    expect(() => ipBytes(text)).toThrow('is not an IP address');
  });
  it('a plan with a MAC address that is none', () => {
    expect(() => encodeEndpoints(plan([link(0, 'eth0', { macAddress: 'x' })]))).toThrow('is not a MAC address');
  });
});

describe('a container in networks of users', () => {
  it('has a link of each with its addresses, both families, MAC, MTU, settings and default routes', async () => {
    const first = link(0, 'eth0');
    const second = link(1, 'eth1', { addresses: ['10.211.78.9/24', 'fd00:78::9/64', '169.254.7.8/16'] });
    const endpoints = plan([first, second], {
      gateways: [
        { interface: 'eth1', address: '10.211.78.1' },
        { interface: 'eth1', address: 'fd00:78::1' },
      ],
      sysctls: { 'net/ipv4/conf/eth1/forwarding': '0', 'net/ipv4/conf/eth0/log_martians': '1' },
    });
    const script =
      'ip -o addr; ip route; ip -6 route; cat /sys/class/net/eth1/address /sys/class/net/eth1/mtu; cd /proc/sys/net; cat ipv6/conf/eth0/disable_ipv6 ipv6/conf/eth1/disable_ipv6 ipv6/conf/eth1/accept_ra ipv4/conf/eth1/forwarding ipv4/conf/eth0/log_martians';
    const { stdout } = await host.run(['sh', '-c', script], { plan: { endpoints } });
    expect(stdout).toMatch(/eth0 +inet 10\.210\.78\.\d+\/24 brd 10\.210\.78\.255/);
    expect(stdout).toContain('inet 10.211.78.9/24 brd 10.211.78.255');
    expect(stdout).toContain('inet 169.254.7.8/16');
    expect(stdout).toContain('inet6 fd00:78::9/64');
    expect(stdout).not.toContain('tentative');
    expect(stdout).not.toMatch(/eth0 +inet6/);
    expect(stdout).toContain('default via 10.211.78.1 dev eth1');
    expect(stdout).toContain('default via fd00:78::1 dev eth1');
    expect(stdout.trim().split('\n').slice(-7)).toEqual([second.macAddress, '1450', '1', '0', '0', '0', '1']);
    for (const { hostInterface } of [first, second]) {
      await expect.poll(() => existsSync(`/sys/class/net/${hostInterface}`)).toBe(false);
    }
  });

  it('beside the default bridge, whose route another network can have', async () => {
    const network = {
      bridge: bridges[0],
      hostInterface: `d${id}`,
      containerInterface: 'eth0',
      address: '10.210.78.200',
      prefixLength: 24,
      macAddress: '02:42:0a:d0:4e:c8',
      mtu: 1500,
    };
    const endpoints = plan([link(1, 'eth1')], { gateways: [{ interface: 'eth1', address: '10.211.78.1' }] });
    const { stdout } = await host.run(['ip', 'route'], { plan: { network, endpoints } });
    expect(stdout.split('\n').filter((line) => line.startsWith('default'))).toEqual([
      'default via 10.211.78.1 dev eth1 ',
    ]);
  });

  it('is connected and disconnected while it runs', async () => {
    const first = link(0, 'eth0');
    const second = link(1, 'eth1', { addresses: ['10.211.78.77/24', 'fd00:78::77/64'] });
    const changes = {
      plan: { endpoints: plan([first], { gateways: [{ interface: 'eth0', address: '10.210.78.1' }] }) },
    };
    await host.whileRunning(['sleep', '60'], changes, async (container, running, bundle) => {
      const inside = async (...argv: string[]): Promise<string> => (await host.exec(running, container, argv)).stdout;
      using client = await ShimClient.connect(bundle, () => {}, host.signal);
      const both = plan([first, second], { gateways: [{ interface: 'eth1', address: '10.211.78.1' }] });
      await client.connectNetworks(both, host.signal);
      await client.connectNetworks(both, host.signal);
      expect(await inside('ip', '-o', 'addr', 'show', 'eth1')).toContain('inet6 fd00:78::77/64');
      expect(await inside('ip', '-o', 'addr', 'show', 'eth0')).toContain(first.addresses[0]);
      expect(await inside('ip', 'route')).toContain('default via 10.211.78.1 dev eth1');
      const rest = plan([second], { gateways: [{ interface: 'eth1', address: '10.211.78.254' }] });
      await client.connectNetworks(rest, host.signal);
      expect(existsSync(`/sys/class/net/${first.hostInterface}`)).toBe(false);
      expect(await inside('ls', '/sys/class/net')).not.toContain('eth0');
      expect((await inside('ip', 'route')).match(/default .*/g)).toEqual(['default via 10.211.78.254 dev eth1 ']);
      ip('link', 'del', second.hostInterface);
      await client.connectNetworks(rest, host.signal);
      expect(await inside('ip', '-o', 'addr', 'show', 'eth1')).toContain('inet 10.211.78.77/24');
      await expect(
        client.connectNetworks(plan([link(0, 'eth5', { bridge: 'atoll-none' })]), host.signal),
      ).rejects.toMatchObject({ details: { step: 'network', errno: 'ENODEV' } });
    });
    expect(existsSync(`/sys/class/net/${second.hostInterface}`)).toBe(false);
  });

  it('leaves nothing when one of its bridges is missing', async () => {
    const [first, second] = [link(0, 'eth0'), link(1, 'eth1', { bridge: 'atoll-none' })];
    await expect(host.run(['true'], { plan: { endpoints: plan([first, second]) } })).rejects.toMatchObject({
      details: { step: 'network', errno: 'ENODEV' },
    });
    expect(existsSync(`/sys/class/net/${first.hostInterface}`)).toBe(false);
    expect(await host.leftovers()).toEqual([]);
  });

  it.each([
    ['a setting outside the network', { sysctls: { 'kernel/core_pattern': 'x' } }],
    ['a setting that climbs', { sysctls: { 'net/../kernel/core_pattern': 'x' } }],
    ['a gateway of an interface with a path', { gateways: [{ interface: '../eth0', address: '10.0.0.1' }] }],
  ])('%s is refused', async (_name, more) => {
    await expect(host.run(['true'], { plan: { endpoints: plan([], more) } })).rejects.toMatchObject({
      details: { step: 'read the plan' },
    });
  });
});
