import { describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { ipv4Routes, ipv6Routes } from './on-link-routes.ts';

const isOwn = (name: string): boolean => name === 'own0';
const four = (name: string, destination: string, flags: string, mask: string, gateway = '00000000'): string =>
  `${name}\t${destination}\t${gateway}\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0   \n`;
const six = (destination: string, length: string, flags: string, name: string, next = '0'.repeat(32)): string =>
  `${destination} ${length} ${'0'.repeat(32)} 00 ${next} 00000100 00000001 00000000 ${flags}     ${name}\n`;
const unique = 'fd000000000000000000000000000000';

describe('networks a host reaches without a gateway', () => {
  test.each<[string, string, readonly string[]]>([
    ['the head of the table', 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n', []],
    ['a link', four('eth0', '000200C0', '0001', '00FFFFFF'), ['192.0.2.0/24']],
    ['a whole half', four('tun0', '00000000', '0001', '00000080'), ['0.0.0.0/1']],
    ['one machine', four('tun0', '0502000A', '0005', 'FFFFFFFF'), ['10.0.2.5/32']],
    ['the default route', four('eth0', '00000000', '0003', '00000000', '010200C0'), []],
    ['by a gateway', four('eth0', '0000000A', '0003', '000000FF', '010200C0'), []],
    ['a refused one', four('*', '0000000A', '0201', '000000FF'), []],
    ['link-local', four('eth0', '0000FEA9', '0001', '0000FFFF'), []],
    ["the agent's own", four('own0', '0000000A', '0001', '000000FF'), []],
  ])('IPv4: %s', (_name, text, routes) => {
    expect(ipv4Routes(text, isOwn)).toEqual(routes);
  });

  test.each<[string, string, readonly string[]]>([
    ['a link', six(unique, '40', '00000001', 'eth0'), ['fd00::/64']],
    ['the default route', six('0'.repeat(32), '00', '00000003', 'eth0', unique), []],
    ['by a gateway', six(unique, '30', '00000003', 'eth0', unique), []],
    ['an address of the host', six(unique, '80', '80200001', 'lo'), []],
    ['an anycast address', six(unique, '80', '00100001', 'eth0'), []],
    ['link-local', six('fe800000000000000000000000000000', '40', '00000001', 'eth0'), []],
    ['multicast', six('ff000000000000000000000000000000', '08', '00000001', 'eth0'), []],
    ["the agent's own", six(unique, '40', '00000001', 'own0'), []],
  ])('IPv6: %s', (_name, text, routes) => {
    expect(ipv6Routes(text, isOwn)).toEqual(routes);
  });

  test('are what an agent tells of its host, without those of its containers', { timeout: 60_000 }, async () => {
    const host = await TestHost.create();
    try {
      const [link] = host.scheduler.hello?.facts?.onLinkRoutes ?? [];
      expect(host.scheduler.hello?.facts?.onLinkRoutes).toHaveLength(1);
      expect(link?.split('.').slice(0, 3)).toEqual(host.hostIp.split('.').slice(0, 3));
      const record = host.record(['true'], { network: { mode: 'bridge' } });
      await host.run(record);
      await host.killAgent();
      await host.startAgent();
      expect(host.scheduler.hello?.facts?.onLinkRoutes).toEqual([link]);
    } finally {
      await host.dispose();
    }
  });
});
