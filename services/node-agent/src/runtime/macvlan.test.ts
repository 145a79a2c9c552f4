import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EndpointPlan, EndpointsPlan, MacvlanLinkPlan, MacvlanMode } from './endpoints-plan.ts';
import type { PreparedContainer } from './launch-shim.ts';
import { ShimClient } from './shim-client.ts';
import { TestHost } from './testing/test-host.ts';

const id = randomBytes(3).toString('hex');
const parent = `mvp${id}`;
const bridge = `mvb${id}`;
/** The segment of the parent: a machine that knows nothing of containers. */
const outside = `atoll-mv-${id}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const atOutside = (...args: string[]): string => ip('-n', outside, ...args);
let host: TestHost;
let count = 10;

beforeAll(async () => {
  host = await TestHost.create();
  ip('netns', 'add', outside);
  ip('link', 'add', parent, 'type', 'veth', 'peer', 'name', 'segment', 'netns', outside);
  ip('link', 'set', parent, 'up');
  atOutside('addr', 'add', '10.214.78.1/24', 'dev', 'segment');
  atOutside('addr', 'add', 'fd00:214::1/64', 'dev', 'segment', 'nodad');
  atOutside('link', 'set', 'segment', 'up');
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('link', 'set', bridge, 'up');
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  ip('link', 'del', parent);
  ip('link', 'del', bridge);
  ip('netns', 'del', outside);
});

function link(name: string, more: Partial<MacvlanLinkPlan> = {}): MacvlanLinkPlan {
  const number = count++;
  return {
    parent,
    mode: 'bridge',
    hostInterface: `m${number}${id}`,
    containerInterface: name,
    addresses: [`10.214.78.${number}/24`, `fd00:214::${number.toString(16)}/64`],
    macAddress: `02:42:0a:d6:4e:${number.toString(16).padStart(2, '0')}`,
    mtu: 0,
    ...more,
  };
}

const plan = (links: readonly EndpointPlan[], more: Partial<EndpointsPlan> = {}) => ({
  plan: { endpoints: { links, gateways: [], ...more } },
});

/** What the kernel has of an interface of a container: JSON of iproute2. */
function inside(container: PreparedContainer, name: string) {
  const net = `--net=/proc/${container.init.pid}/ns/net`;
  const text = execFileSync('nsenter', [net, 'ip', '-json', '-details', 'link', 'show', name], { encoding: 'utf8' });
  const [found] = JSON.parse(text) as {
    ifindex: number;
    address: string;
    mtu: number;
    linkinfo: { info_kind: string; info_data: { mode: string } };
  }[];
  if (!found) throw new Error(`no interface ${name}`);
  return found;
}

const addressOf = ({ addresses }: EndpointPlan, at = 0): string => addresses[at]?.split('/')[0] ?? '';

describe('a macvlan link', () => {
  it('has addresses, MTU of its parent and a default route, and reaches the segment by both families', async () => {
    ip('link', 'set', parent, 'mtu', '1400');
    const one = link('eth0');
    const gateways = [{ interface: 'eth0', address: '10.214.78.1' }];
    const script = [
      'ping -c 1 -W 2 10.214.78.1 >/dev/null && echo reached',
      'ping -c 1 -W 2 fd00:214::1 >/dev/null && echo reached6',
      'ip route; ip -o addr; cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu',
      'cat /proc/sys/net/ipv6/conf/eth0/accept_ra',
    ].join('; ');
    const { stdout } = await host.run(['sh', '-c', script], plan([one], { gateways }));
    ip('link', 'set', parent, 'mtu', '1500');
    expect(stdout).toMatch(/^reached\nreached6\n/);
    expect(stdout).toContain('default via 10.214.78.1 dev eth0');
    expect(stdout).toContain(`inet ${one.addresses[0]} brd 10.214.78.255`);
    expect(stdout).toContain(`inet6 ${one.addresses[1]}`);
    expect(stdout).not.toContain('tentative');
    expect(stdout.trim().split('\n').slice(-3)).toEqual([one.macAddress, '1400', '0']);
  });

  it('without an IPv6 address has no IPv6', async () => {
    const { stdout } = await host.run(['ip', 'addr'], plan([link('eth0', { addresses: ['10.214.78.250/24'] })]));
    expect(stdout).toContain('10.214.78.250');
    expect(stdout).not.toContain('inet6 fe80');
  });

  it.each<[MacvlanMode, MacvlanMode]>([
    ['bridge', 'bridge'],
    ['private', 'private'],
    ['vepa', 'vepa'],
    ['passthru', 'passthru'],
  ])('of mode %s has the chosen hardware address', async (mode, wanted) => {
    const one = link('eth0', { mode });
    const before = ip('-json', 'link', 'show', parent);
    await host.whileRunning(['sleep', '60'], plan([one]), async (container) => {
      expect(inside(container, 'eth0')).toMatchObject({
        address: one.macAddress,
        mtu: 1500,
        linkinfo: { info_kind: 'macvlan', info_data: { mode: wanted } },
      });
      expect(atOutside('neigh', 'flush', 'dev', 'segment')).toBe('');
      execFileSync('ip', ['netns', 'exec', outside, 'busybox', 'ping', '-c', '1', '-W', '2', addressOf(one)]);
    });
    // One of mode passthru has taken the parent's address.
    expect(addressIn(ip('-json', 'link', 'show', parent))).toBe(addressIn(before));
  });

  it('of mode passthru is the only one of its parent', async () => {
    await host.whileRunning(['sleep', '60'], plan([link('eth0', { mode: 'passthru' })]), async () => {
      await expect(host.run(['true'], plan([link('eth0', { mode: 'passthru' })]))).rejects.toMatchObject({
        details: { step: 'network', errno: 'EINVAL' },
        message: expect.stringContaining(`on ${parent}, which in mode passthru has no other`),
      });
    });
  });

  it('is told to the segment: neighbours forget who had its addresses before', async () => {
    const one = link('eth0');
    const known = (address: string): string => atOutside('neigh', 'show', address, 'dev', 'segment');
    for (const address of [addressOf(one), addressOf(one, 1)]) {
      atOutside('neigh', 'add', address, 'lladdr', '02:00:00:00:00:77', 'dev', 'segment', 'nud', 'stale');
    }
    await host.whileRunning(['sleep', '60'], plan([one]), async () => {
      await expect.poll(() => known(addressOf(one))).toContain(one.macAddress);
      await expect.poll(() => known(addressOf(one, 1))).toContain(one.macAddress);
    });
  });
});

const addressIn = (json: string): string => (JSON.parse(json) as { address: string }[])[0]?.address ?? '';

describe('a container with macvlan links', () => {
  it('is connected and disconnected while it runs, beside other links', async () => {
    const first: EndpointPlan = {
      bridge,
      hostInterface: `v${id}`,
      containerInterface: 'eth0',
      addresses: ['10.210.78.9/24'],
      macAddress: '02:42:0a:d2:4e:09',
      mtu: 1500,
    };
    await host.whileRunning(['sleep', '60'], plan([first]), async (container, running, bundle) => {
      const names = async (): Promise<string> => (await host.exec(running, container, ['ls', '/sys/class/net'])).stdout;
      using client = await ShimClient.connect(bundle, () => {}, host.signal);
      const connect = (...links: EndpointPlan[]) => client.connectNetworks(plan(links).plan.endpoints, host.signal);
      const [one, other] = [link('eth1'), link('eth1')];
      await connect(first, one);
      const made = inside(container, 'eth1');
      expect(made).toMatchObject({ address: one.macAddress });
      await connect(first, one);
      expect(inside(container, 'eth1').ifindex).toBe(made.ifindex);
      // Another network under the same name: the host was away meanwhile.
      await connect(first, other);
      expect(inside(container, 'eth1')).toMatchObject({ address: other.macAddress });
      execFileSync('nsenter', [`--net=/proc/${container.init.pid}/ns/net`, 'ip', 'link', 'del', 'eth1']);
      await connect(first, other);
      expect(inside(container, 'eth1')).toMatchObject({ address: other.macAddress });
      await connect(first);
      expect(await names()).toBe('eth0\nlo\n');
      await connect(one);
      expect(await names()).toBe('eth1\nlo\n');
    });
  });

  it('starts anew with the same hardware address at once', async () => {
    const one = link('eth0');
    for (let run = 0; run < 3; run++) {
      const { exit } = await host.run(['ping', '-c', '1', '-W', '2', '10.214.78.1'], plan([one]));
      expect(exit.code).toBe(0);
    }
  });

  it('gives it up when it ends, although another has its namespace', async () => {
    const one = link('eth0');
    const keeper = { pid: 0, stop: () => {} };
    await host.whileRunning(['sleep', '60'], plan([one]), async (container) => {
      const child = spawn('nsenter', [`--net=/proc/${container.init.pid}/ns/net`, 'sleep', '60']);
      keeper.pid = child.pid ?? 0;
      keeper.stop = () => child.kill('SIGKILL');
      await expect
        .poll(() => execFileSync('ip', ['netns', 'identify', String(keeper.pid)], { encoding: 'utf8' }))
        .toBe('\n');
    });
    try {
      expect((await host.run(['ping', '-c', '1', '-W', '2', '10.214.78.1'], plan([one]))).exit.code).toBe(0);
    } finally {
      keeper.stop();
    }
  });

  it('waits for a hardware address that is on its way out, and no longer than that', async () => {
    const one = link('eth0');
    const busy = `mvx${id}`;
    ip('link', 'add', 'link', parent, 'name', busy, 'address', one.macAddress, 'type', 'macvlan', 'mode', 'bridge');
    ip('link', 'set', busy, 'up');
    await expect(host.run(['true'], plan([one]))).rejects.toMatchObject({
      details: { step: 'network', errno: expect.stringMatching(/^(EADDRINUSE|EBUSY)$/) },
      message: expect.stringContaining('bring up eth0'),
    });
    const [{ exit }] = await Promise.all([
      host.run(['true'], plan([one])),
      sleep(300).then(() => ip('link', 'del', busy)),
    ]);
    expect(exit.code).toBe(0);
  });

  it.each<[string, Partial<MacvlanLinkPlan>, object]>([
    ['whose parent is missing', { parent: 'atoll-none' }, { step: 'network', errno: 'ENODEV' }],
    ['whose parent has a path', { parent: '../eth0' }, { step: 'read the plan' }],
    ['with an MTU its parent does not have', { mtu: 9_000 }, { step: 'network', errno: 'EINVAL' }],
  ])('%s does not start, and leaves nothing', async (_name, more, details) => {
    const before = ip('-json', 'link');
    await expect(host.run(['true'], plan([link('eth0'), link('eth1', more)]))).rejects.toMatchObject({ details });
    expect(JSON.parse(ip('-json', 'link'))).toEqual(JSON.parse(before));
    expect(await host.leftovers()).toEqual([]);
  });
});
