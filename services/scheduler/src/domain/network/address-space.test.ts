import { networkV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { AddressSpace } from './address-space.ts';
import { parseIp } from './ip-address.ts';

const space = (...subnets: Parameters<typeof networkV1.Subnet.fromPartial>[0][]): AddressSpace =>
  new AddressSpace(subnets.map((subnet) => networkV1.Subnet.fromPartial(subnet)));

function take(from: AddressSpace, version: 4 | 6 = 4): string | undefined {
  const offer = from.offer(version);
  if (offer) from.hold(offer.address);
  return offer?.address;
}

function fixed(from: AddressSpace, text: string): unknown {
  const address = parseIp(text);
  if (!address) throw new Error(`no address: ${text}`);
  const offer = from.offerFixed(address);
  return 'refusal' in offer ? offer.refusal : offer.address;
}

describe('what is given', () => {
  test('in turn, without network, gateway, auxiliary and broadcast address', () => {
    const small = space({ cidr: '10.0.0.0/29', gateway: '10.0.0.1', auxAddresses: { router: '10.0.0.3' } });
    expect(Array.from({ length: 5 }, () => take(small))).toEqual([
      '10.0.0.2',
      '10.0.0.4',
      '10.0.0.5',
      '10.0.0.6',
      undefined,
    ]);
  });

  test('only from the range, with the prefix of the subnet', () => {
    const ranged = space({ cidr: '10.1.0.0/16', ipRange: '10.1.5.0/30', gateway: '10.1.0.1' });
    expect(ranged.offer(4)).toEqual({ address: '10.1.5.0', prefixLength: 16, gateway: '10.1.0.1' });
    expect(Array.from({ length: 5 }, () => take(ranged))).toEqual([
      ...['10.1.5.1', '10.1.5.2', '10.1.5.3', '10.1.5.0'],
      undefined,
    ]);
  });

  test('from the next subnet when one is full', () => {
    const two = space({ cidr: '10.0.0.0/30', gateway: '10.0.0.1' }, { cidr: '10.2.0.0/30' });
    expect([take(two), take(two), take(two), take(two)]).toEqual(['10.0.0.2', '10.2.0.1', '10.2.0.2', undefined]);
  });

  test('IPv6 beside IPv4, from a block nobody could count through', () => {
    const both = space({ cidr: '10.0.0.0/24', gateway: '10.0.0.1' }, { cidr: 'fd00::/64', gateway: 'fd00::1' });
    expect([take(both, 6), take(both, 6), take(both)]).toEqual(['fd00::2', 'fd00::3', '10.0.0.2']);
    expect(space({ cidr: '10.0.0.0/24' }).offer(6)).toBeUndefined();
  });
});

test('an address comes back as late as possible', () => {
  const small = space({ cidr: '10.0.0.0/29', gateway: '10.0.0.1' });
  expect([take(small), take(small)]).toEqual(['10.0.0.2', '10.0.0.3']);
  small.release('10.0.0.2');
  small.release('10.0.0.3');
  expect(Array.from({ length: 5 }, () => take(small))).toEqual([
    ...['10.0.0.4', '10.0.0.5', '10.0.0.6', '10.0.0.2', '10.0.0.3'],
  ]);
});

test('after a takeover it goes on behind the highest', () => {
  const rebuilt = space({ cidr: '10.0.0.0/24', gateway: '10.0.0.1' });
  for (const address of ['10.0.0.9', '10.0.0.4']) {
    rebuilt.hold(address);
    rebuilt.resumeAfter(address);
  }
  expect([take(rebuilt), take(rebuilt)]).toEqual(['10.0.0.10', '10.0.0.11']);
});

test('held twice, it is free after both let go', () => {
  const small = space({ cidr: '10.0.0.0/24' });
  small.hold('10.0.0.7');
  small.hold('10.0.0.7');
  small.release('10.0.0.7');
  expect(fixed(small, '10.0.0.7')).toBe('in use');
  small.release('10.0.0.7');
  expect(fixed(small, '10.0.0.7')).toBe('10.0.0.7');
});

test.each([
  ['free', '10.1.200.1', '10.1.200.1'],
  ['inside the range', '10.1.5.9', '10.1.5.9'],
  ['held', '10.1.5.7', 'in use'],
  ['outside', '10.2.0.1', 'outside'],
  ['of the other family', 'fd00::1', 'outside'],
  ['the gateway', '10.1.0.1', 'reserved'],
  ['auxiliary', '10.1.0.9', 'reserved'],
  ['the network', '10.1.0.0', 'reserved'],
  ['the broadcast', '10.1.255.255', 'reserved'],
])('a fixed address: %s', (_name, text, wanted) => {
  const subnet = { cidr: '10.1.0.0/16', ipRange: '10.1.5.0/24', gateway: '10.1.0.1', auxAddresses: { a: '10.1.0.9' } };
  const one = space(subnet);
  one.hold('10.1.5.7');
  expect(fixed(one, text)).toBe(wanted);
});
