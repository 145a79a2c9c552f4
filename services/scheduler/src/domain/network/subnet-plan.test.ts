import { networkV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { AddressPools } from './address-pools.ts';
import { type IpBlock, parseCidr } from './ip-address.ts';
import { planSubnets } from './subnet-plan.ts';

type Asked = Parameters<typeof networkV1.NetworkRecord.fromPartial>[0];

const block = (text: string): IpBlock => {
  const parsed = parseCidr(text);
  if (!parsed) throw new Error(text);
  return parsed.block;
};
const TAKEN = [
  { block: block('10.213.0.0/16'), whose: "the hosts' own containers" },
  { block: block('192.168.7.0/24'), whose: 'network web' },
  { block: block('172.30.0.5/32'), whose: 'the address of host h1' },
];

function plan(asked: Asked, taken = TAKEN, pools = new AddressPools('10.216.0.0/13', 22, 'c1')): networkV1.Subnet[] {
  return planSubnets(networkV1.NetworkRecord.fromPartial({ ipv4: true, ...asked }), taken, pools);
}

describe('subnets', () => {
  test.each<[string, Asked, Partial<networkV1.Subnet>[]]>([
    ['none asked for', {}, [{ cidr: '10.216.0.0/22', gateway: '10.216.0.1' }]],
    ['one', { subnets: [{ cidr: '10.1.0.0/16' }] }, [{ cidr: '10.1.0.0/16', gateway: '10.1.0.1' }]],
    [
      'gateway, range and auxiliary addresses',
      {
        subnets: [
          { cidr: '10.1.0.0/16', gateway: '10.1.0.9', ipRange: '10.1.5.0/24', auxAddresses: { a: '10.1.0.1' } },
        ],
      },
      [{ cidr: '10.1.0.0/16', gateway: '10.1.0.9', ipRange: '10.1.5.0/24', auxAddresses: { a: '10.1.0.1' } }],
    ],
    [
      'the gateway steps aside for an auxiliary address',
      { subnets: [{ cidr: '10.1.0.0/16', auxAddresses: { a: '10.1.0.1' } }] },
      [{ gateway: '10.1.0.2' }],
    ],
    ['internal: no gateway', { internal: true }, [{ gateway: '' }]],
    [
      'internal with a gateway asked for',
      { internal: true, subnets: [{ cidr: '10.1.0.0/16', gateway: '10.1.0.1' }] },
      [{ gateway: '10.1.0.1' }],
    ],
    [
      'several, of both families, in canonical form',
      { ipv6: true, subnets: [{ cidr: '10.1.0.0/16' }, { cidr: '10.2.0.0/16' }, { cidr: 'FD00:1::/64' }] },
      [
        { cidr: '10.1.0.0/16', gateway: '10.1.0.1' },
        { cidr: '10.2.0.0/16', gateway: '10.2.0.1' },
        { cidr: 'fd00:1::/64', gateway: 'fd00:1::1' },
      ],
    ],
    ['IPv6 only', { ipv4: false, ipv6: true, subnets: [{ cidr: 'fd00:1::/64' }] }, [{ cidr: 'fd00:1::/64' }]],
  ])('%s', (_name, asked, wanted) => {
    const planned = plan(asked);
    expect(planned).toHaveLength(wanted.length);
    expect(planned).toMatchObject(wanted);
  });

  test('IPv6 without a subnet: a /64 of the cluster, beside what was asked for', () => {
    const [four, six] = plan({ ipv6: true, subnets: [{ cidr: '10.1.0.0/16' }] });
    expect(four?.cidr).toBe('10.1.0.0/16');
    expect(six?.cidr).toMatch(/^fd[0-9a-f:]+::\/64$/);
    const again = plan({ ipv6: true }, TAKEN, new AddressPools('10.216.0.0/13', 22, 'c2'));
    expect(again[1]?.cidr).not.toBe(six?.cidr);
  });

  test.each<[string, Asked, RegExp]>([
    ['no family', { ipv4: false }, /^EnableIPv4: IPv4 or IPv6 must be enabled/],
    ['a text that is none', { subnets: [{ cidr: 'x' }] }, /^IPAM\.Config\[0\]\.Subnet: invalid subnet x/],
    [
      'host bits',
      { subnets: [{ cidr: '10.1.2.3/24' }] },
      /^IPAM\.Config\[0\]\.Subnet: .* it should be 10\.1\.2\.0\/24/,
    ],
    ['a gateway alone', { subnets: [{ gateway: '10.1.0.1' }] }, /^IPAM\.Config\[0\]\.Subnet: is missing/],
    ['too small', { subnets: [{ cidr: '10.1.0.0/30' }] }, /Subnet: 10\.1\.0\.0\/30 is too small/],
    ['loopback', { subnets: [{ cidr: '127.1.0.0/16' }] }, /127\.0\.0\.0\/8, which no container can have/],
    ['multicast', { subnets: [{ cidr: '239.0.0.0/16' }] }, /which no container can have/],
    ["another network's", { subnets: [{ cidr: '192.168.0.0/16' }] }, /Pool overlaps .* of network web/],
    ["the hosts' blocks", { subnets: [{ cidr: '10.213.4.0/24' }] }, /Pool overlaps .* of the hosts' own containers/],
    ["a host's address", { subnets: [{ cidr: '172.30.0.0/24' }] }, /the address of host h1/],
    [
      'each other',
      { subnets: [{ cidr: '10.1.0.0/16' }, { cidr: '10.1.2.0/24' }] },
      /^IPAM\.Config\[1\]\.Subnet: Pool overlaps .* of IPAM\.Config\[0\]/,
    ],
    ['IPv6 that is off', { subnets: [{ cidr: 'fd00::/64' }] }, /Subnet: fd00::\/64 is IPv6, which EnableIPv6/],
    ['IPv4 that is off', { ipv4: false, ipv6: true, subnets: [{ cidr: '10.1.0.0/16' }] }, /which EnableIPv4/],
    [
      'a range that is none',
      { subnets: [{ cidr: '10.1.0.0/16', ipRange: '10.1.0.0' }] },
      /^IPAM\.Config\[0\]\.IPRange: invalid/,
    ],
    [
      'a range with host bits',
      { subnets: [{ cidr: '10.1.0.0/16', ipRange: '10.1.5.9/24' }] },
      /IPRange: .* should be 10\.1\.5\.0\/24/,
    ],
    ['a range outside', { subnets: [{ cidr: '10.1.0.0/16', ipRange: '10.2.0.0/24' }] }, /IPRange: .* not inside/],
    [
      'a range larger than the subnet',
      { subnets: [{ cidr: '10.1.0.0/16', ipRange: '10.0.0.0/8' }] },
      /IPRange: .* not inside/,
    ],
    [
      'a gateway outside',
      { subnets: [{ cidr: '10.1.0.0/16', gateway: '10.2.0.1' }] },
      /^IPAM\.Config\[0\]\.Gateway: .* not in/,
    ],
    ['a gateway that is none', { subnets: [{ cidr: '10.1.0.0/16', gateway: 'gw' }] }, /Gateway: "gw" is no IP address/],
    [
      'the network as gateway',
      { subnets: [{ cidr: '10.1.0.0/16', gateway: '10.1.0.0' }] },
      /Gateway: .* first or last/,
    ],
    [
      'an auxiliary address outside',
      { subnets: [{ cidr: '10.1.0.0/16', auxAddresses: { r: '10.9.0.1' } }] },
      /^IPAM\.Config\[0\]\.AuxiliaryAddresses\["r"\]: .* not in/,
    ],
    [
      'the gateway as auxiliary address',
      { subnets: [{ cidr: '10.1.0.0/16', gateway: '10.1.0.1', auxAddresses: { r: '10.1.0.1' } }] },
      /Gateway: 10\.1\.0\.1 is the auxiliary address r/,
    ],
  ])('%s is refused', (_name, asked, message) => {
    expect(() => plan(asked)).toThrow(
      expect.objectContaining({ reason: 'invalid-argument', message: expect.stringMatching(message) }),
    );
  });
});

describe('default pools', () => {
  test('blocks that are in use are passed over, freed ones come back last, and it says when all are gone', () => {
    const pools = new AddressPools('10.216.0.0/20', 22, 'c1');
    const used = [block('10.216.4.0/24')];
    expect([pools.block4(used), pools.block4(used), pools.block4(used), pools.block4(used)]).toEqual([
      ...['10.216.0.0/22', '10.216.8.0/22', '10.216.12.0/22', '10.216.0.0/22'],
    ]);
    expect(() => pools.block4([block('10.216.0.0/16')])).toThrow(
      /all 4 blocks of the default address pool 10.216.0.0\/20/,
    );
  });

  test.each([
    ['no network', 'x', 22, /ATOLL_NETWORK_POOL: x/],
    ['host bits', '10.216.0.1/13', 22, /ATOLL_NETWORK_POOL/],
    ['IPv6', 'fd00::/48', 64, /ATOLL_NETWORK_POOL/],
    ['blocks larger than the pool', '10.216.0.0/16', 12, /ATOLL_NETWORK_POOL_SIZE: must be between 16 .* and 29/],
    ['blocks too small', '10.216.0.0/16', 30, /ATOLL_NETWORK_POOL_SIZE/],
  ])('%s is refused', (_name, cidr, prefix, message) => {
    expect(() => new AddressPools(cidr, prefix, 'c1')).toThrow(message);
  });
});
