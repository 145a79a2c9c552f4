import { containerV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { AddressPool } from './address-pool.ts';
import { bridgeNameOf } from './bridge.ts';
import { publishedPorts } from './host-network.ts';
import { formatIpv4, macOf, parseIpv4 } from './ipv4.ts';
import { hostsText, resolvConfText } from './network-files.ts';
import { fullRuleset, tableOf } from './nft-ruleset.ts';
import { portElements } from './port-elements.ts';
import { Subnet } from './subnet.ts';

describe('addresses', () => {
  test.each(['0.0.0.0', '10.88.1.2', '255.255.255.255'])('%s there and back', (text) => {
    expect(formatIpv4(parseIpv4(text))).toBe(text);
  });
  test.each(['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.4 } drop', '::1'])('"%s" is none', (text) => {
    expect(() => parseIpv4(text)).toThrow('is not an IPv4 address');
  });
  test('the MAC address Docker gives', () => {
    expect(macOf('172.17.0.2')).toBe('02:42:ac:11:00:02');
  });
});

describe('blocks of addresses', () => {
  test.each([
    ['10.88.1.0/24', '10.88.1.1', 256],
    ['10.88.1.77/24', '10.88.1.1', 256],
    ['192.168.0.8/29', '192.168.0.9', 8],
  ])('%s', (cidr, gateway, size) => {
    expect(Subnet.parse(cidr)).toMatchObject({ gateway, size });
  });
  test.each(['10.0.0.0', '10.0.0.0/30', '10.0.0.0/7', 'x/24', '10.0.0.0/24/1'])('%s is none', (cidr) => {
    expect(() => Subnet.parse(cidr)).toThrow();
  });

  test('every address once, the gateway and the ends never, freed ones last', () => {
    const pool = new AddressPool(Subnet.parse('10.0.0.0/29'));
    const taken = ['a', 'b', 'c', 'd', 'e'].map((owner) => pool.take(owner));
    expect(taken).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5', '10.0.0.6']);
    expect(() => pool.take('f')).toThrow('all 5 container addresses of 10.0.0.0/29 are in use');
    pool.release('10.0.0.3', 'somebody else');
    expect(() => pool.take('f')).toThrow();
    pool.release('10.0.0.3', 'b');
    expect(pool.take('f')).toBe('10.0.0.3');
  });

  test('addresses in use since before are not given again', () => {
    const pool = new AddressPool(Subnet.parse('10.0.0.0/29'));
    expect(pool.claim('10.0.0.2', 'a')).toBe(true);
    expect(pool.claim('10.0.0.2', 'b')).toBe(false);
    expect(pool.claim('10.0.0.1', 'b')).toBe(false);
    expect(pool.claim('10.1.0.2', 'b')).toBe(false);
    expect(pool.take('b')).toBe('10.0.0.3');
  });
});

describe('rules', () => {
  const port = { protocol: 'tcp', hostIp: '', hostPort: 80, address: '10.0.0.2', containerPort: 8080 } as const;
  test('only our own table is named', () => {
    const text = fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [port]);
    expect(text.match(/table ip \S+/g)?.every((table) => table === 'table ip atollab')).toBe(true);
    expect(text).toContain('add element ip atollab published { tcp . 80 : 10.0.0.2 . 8080 }');
    expect(text).not.toContain('flush ruleset');
  });
  test('a binding to one address goes into the map of addresses', () => {
    const text = fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [{ ...port, hostIp: '10.1.1.1' }]);
    expect(text).toContain('add element ip atollab published_at { 10.1.1.1 . tcp . 80 : 10.0.0.2 . 8080 }\n');
  });
  test('no text can be smuggled in as an address', () => {
    const smuggled = { ...port, hostIp: '1.1.1.1 } ; flush ruleset' };
    expect(() => fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [smuggled])).toThrow('is not an IP address');
    expect(() => portElements('atollab', {}, { ports: [smuggled] })).toThrow('is not an IP address');
  });
  test('IPv6 has a table of its own once a port needs it', () => {
    const six = { ...port, address: 'fd00::2' };
    const text = fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [port, six]);
    expect(text).toContain('table ip6 atollab {');
    expect(text).toContain('add element ip6 atollab published { tcp . 80 : fd00::2 . 8080 }');
    expect(fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [port])).not.toContain('ip6');
  });
  test('a forwarded port is one element of the map and one of the set, in the families the owner has', () => {
    const target = { protocol: 'udp', hostPort: 53, ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
    const two = [target, { ...target, hostPort: 54, ipv6: '' }];
    const text = fullRuleset('atollab', Subnet.parse('10.0.0.0/24'), [], two);
    expect(text).toContain(
      [
        'add element ip atollab forwarded { udp . 53 : 192.0.2.1 . 53 }',
        'add element ip atollab forwarded_to { 192.0.2.1 . udp . 53 }',
        'add element ip6 atollab forwarded { udp . 53 : 2001:db8::1 . 53 }',
        'add element ip6 atollab forwarded_to { 2001:db8::1 . udp . 53 }',
        'add element ip atollab forwarded { udp . 54 : 192.0.2.1 . 54 }',
        'add element ip atollab forwarded_to { 192.0.2.1 . udp . 54 }',
        '',
      ].join('\n'),
    );
    expect(text).toContain('table ip6 atollab {');
  });
  test('names of tables and bridges fit their limits', () => {
    expect(bridgeNameOf('a very long node id of some kind').length).toBeLessThanOrEqual(15);
    expect(tableOf(bridgeNameOf('n'))).toBe(bridgeNameOf('n'));
    expect(tableOf('br-0')).toMatch(/^atoll_[0-9a-f]{10}$/);
  });
});

describe('bindings', () => {
  const binding = (more: object) => containerV1.PortBinding.fromPartial({ containerPort: 80, hostPort: 8080, ...more });
  test('both families are one; what has no host port is not published', () => {
    const ports = publishedPorts(
      [binding({ hostIp: '0.0.0.0' }), binding({ hostIp: '::' }), binding({ hostPort: 0 })],
      { ipv4: '10.0.0.2', ipv6: '' },
    );
    expect(ports).toEqual([{ protocol: 'tcp', hostIp: '', hostPort: 8080, address: '10.0.0.2', containerPort: 80 }]);
  });
  test.each([
    ['', ['10.0.0.2', 'fd00::2']],
    ['0.0.0.0', ['10.0.0.2']],
    ['::', ['10.0.0.2', 'fd00::2']],
    ['192.0.2.1', ['10.0.0.2']],
    ['2001:db8::1', ['fd00::2']],
  ])('of a container with both families, bound to "%s"', (hostIp, want) => {
    const ports = publishedPorts([binding({ hostIp })], { ipv4: '10.0.0.2', ipv6: 'fd00::2' });
    expect(ports.map(({ address }) => address)).toEqual(want);
  });
  test('an unknown protocol', () => {
    expect(() => publishedPorts([binding({ protocol: 'icmp' })], { ipv4: '10.0.0.2', ipv6: '' })).toThrow(
      'invalid proto: icmp',
    );
  });
});

describe("a container's files", () => {
  const spec = (more: object) => containerV1.NetworkSpec.fromPartial({ mode: 'default', ...more });
  test.each([
    [
      'loopback servers are another machine',
      'nameserver 127.0.0.1\nnameserver 10.0.0.1\n',
      {},
      'nameserver 10.0.0.1\n',
    ],
    ["not on the host's network", 'nameserver 127.0.0.1\n', { mode: 'host' }, 'nameserver 127.0.0.1\n'],
    [
      'given ones win',
      'nameserver 10.0.0.1\nsearch a\noptions x\n',
      { dns: ['1.1.1.1'], dnsSearch: ['.'], dnsOptions: ['y'] },
      'nameserver 1.1.1.1\noptions y\n',
    ],
    ['the rest of the host', 'search a b\noptions ndots:1\n# comment\n', {}, 'search a b\noptions ndots:1\n'],
  ])('resolv.conf: %s', (_name, text, more, want) => {
    expect(resolvConfText(text, spec(more))).toBe(want);
  });
  test('hosts: own names and extra ones', () => {
    const identity = { hostname: 'web', domainname: 'a.b', address: '10.0.0.2', gateway: '10.0.0.1' };
    const text = hostsText(spec({ extraHosts: ['up:host-gateway', 'six:[fe80::1]'] }), identity, undefined);
    expect(text).toContain('10.0.0.1\tup\n');
    expect(text).toContain('fe80::1\tsix\n');
    expect(text).toContain('10.0.0.2\tweb.a.b web\n');
  });
});
