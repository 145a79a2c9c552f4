import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NetworkPlan } from './plan.ts';
import { ShimClient } from './shim-client.ts';
import { TestHost } from './testing/test-host.ts';

const id = randomBytes(4).toString('hex');
const bridge = `atollt${id}`;
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
let host: TestHost;
let count = 2;

beforeAll(async () => {
  host = await TestHost.create();
  ip('link', 'add', bridge, 'type', 'bridge');
  ip('link', 'set', bridge, 'up');
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
  ip('link', 'del', bridge);
});

function network(): NetworkPlan {
  const number = count++;
  return {
    bridge,
    hostInterface: `v${number}${id}`,
    containerInterface: 'eth0',
    address: `10.213.77.${number}`,
    prefixLength: 24,
    gateway: '10.213.77.1',
    macAddress: `02:42:0a:d5:4d:${number.toString(16).padStart(2, '0')}`,
    mtu: 1400,
  };
}

describe('a container on a bridge', () => {
  it('has its address, route, MAC and MTU, loopback up, and IPv6 on loopback only', async () => {
    const plan = network();
    const result = await host.run(
      [
        'sh',
        '-c',
        'ip -o addr; ip route; cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6 /proc/sys/net/ipv6/conf/eth0/accept_ra',
      ],
      { plan: { network: plan } },
    );
    expect(result.stdout).toContain('inet 127.0.0.1/8');
    expect(result.stdout).toContain(`inet ${plan.address}/24 brd 10.213.77.255`);
    expect(result.stdout).toContain('default via 10.213.77.1 dev eth0');
    expect(result.stdout.match(/inet6 \S+/g)).toEqual(['inet6 ::1/128']);
    expect(result.stdout.trim().split('\n').slice(-4)).toEqual([plan.macAddress, '1400', '1', '0']);
    // It goes when the shim has told the end.
    await expect.poll(() => existsSync(`/sys/class/net/${plan.hostInterface}`)).toBe(false);
  });

  it('reaches its neighbour', async () => {
    const plan = network();
    const bundle = await host.bundle();
    await host.launch(
      bundle,
      host.plan(bundle, ['nc', '-l', '-p', '7777', '-e', 'echo', 'hello'], { plan: { network: plan } }),
    );
    using client = await ShimClient.connect(bundle, () => {}, host.signal);
    await client.start(host.signal);
    const result = await host.run(
      ['sh', '-c', `for i in 1 2 3 4 5 6 7 8 9; do nc ${plan.address} 7777 </dev/null && exit; sleep 0.1; done`],
      {
        plan: { network: network() },
      },
    );
    expect(result.stdout).toBe('hello\n');
    await client.closed;
  });

  it('shares the network of another container when planned so', async () => {
    const plan = network();
    const bundle = await host.bundle();
    const container = await host.launch(bundle, host.plan(bundle, ['sleep', '60'], { plan: { network: plan } }));
    using client = await ShimClient.connect(bundle, () => {}, host.signal);
    const other = host.plan(bundle, ['true']);
    const result = await host.run(['ip', '-o', '-4', 'addr', 'show', 'eth0'], {
      plan: { namespaces: { ...other.namespaces, net: { mode: 'join', process: container.init } } },
    });
    expect(result.stdout).toContain(plan.address);
    await client.shutdown(host.signal);
    await client.closed;
  });

  it('leaves nothing when the bridge is missing', async () => {
    const plan = { ...network(), bridge: 'atoll-none' };
    await expect(host.run(['true'], { plan: { network: plan } })).rejects.toMatchObject({
      details: { step: 'network', errno: 'ENODEV' },
    });
    expect(existsSync(`/sys/class/net/${plan.hostInterface}`)).toBe(false);
    expect(await host.leftovers()).toEqual([]);
  });
});
