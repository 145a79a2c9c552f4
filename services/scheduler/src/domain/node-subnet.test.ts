import { describe, expect, test } from 'vitest';
import { NodeSubnets } from './node-subnet.ts';

describe('blocks of container addresses', () => {
  test.each([
    ['10.213.0.0/16', 1, '10.213.1.0/24'],
    ['10.213.0.0/16', 255, '10.213.255.0/24'],
    ['10.0.0.0/8', 256, '10.1.0.0/24'],
    ['172.20.0.0/14', 1023, '172.23.255.0/24'],
    ['192.168.0.0/22', 3, '192.168.3.0/24'],
  ])('%s, node %d', (cidr, index, want) => {
    expect(new NodeSubnets(cidr).of(index)).toBe(want);
  });
  test.each([
    ['10.213.0.0/16', 256],
    ['10.213.0.0/16', 0],
    ['192.168.0.0/22', 4],
  ])('%s has no node %d', (cidr, index) => {
    expect(() => new NodeSubnets(cidr).of(index)).toThrow(expect.objectContaining({ reason: 'resource-exhausted' }));
  });
  test.each(['', '10.0.0.0', '10.0.0.0/24', '10.0.0.0/7', '10.300.0.0/16', '10.0.1.0/16', 'fd00::/16'])(
    '%j is refused',
    (cidr) => {
      expect(() => new NodeSubnets(cidr)).toThrow(expect.objectContaining({ reason: 'invalid-argument' }));
    },
  );
});
