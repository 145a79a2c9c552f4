import { describe, expect, test } from 'vitest';
import { isPublished } from './published.ts';

const [bridge, macvlan, before] = [{ driver: 'bridge' }, { driver: 'macvlan' }, { driver: '' }];

describe('whether hosts have ports for a container', () => {
  test.each<[string, string, readonly { driver: string }[], boolean]>([
    ['on the default bridge', 'bridge', [], true],
    ['on the default bridge and in a macvlan network', 'bridge', [macvlan], true],
    ['in a macvlan network', 'lan', [macvlan], false],
    ['in two macvlan networks', 'lan', [macvlan, macvlan], false],
    ['in a macvlan network and one that spans hosts', 'lan', [macvlan, bridge], true],
    ['in a network, of before drivers were noted', 'lan', [before], true],
    ['without a network', 'none', [], true],
  ])('%s', (_name, mode, endpoints, wanted) => {
    expect(isPublished({ spec: { network: { mode, networkDisabled: false, macAddress: '' } }, endpoints })).toBe(
      wanted,
    );
  });
});
