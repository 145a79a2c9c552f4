import { describe, expect, test } from 'vitest';
import { macvlanOf } from './macvlan.ts';

describe('how links of a network are made on an interface', () => {
  test.each<[string, string, Record<string, string>, ReturnType<typeof macvlanOf>]>([
    ['a parent', 'macvlan', { parent: 'eth1' }, { parent: 'eth1', mode: 'bridge' }],
    ['an empty mode', 'macvlan', { parent: 'eth1', macvlan_mode: '' }, { parent: 'eth1', mode: 'bridge' }],
    ['a VLAN', 'macvlan', { parent: 'eth1.50', macvlan_mode: 'vepa' }, { parent: 'eth1.50', mode: 'vepa' }],
    ['the longest name', 'macvlan', { parent: 'e'.repeat(15) }, { parent: 'e'.repeat(15), mode: 'bridge' }],
    ['a longer name', 'macvlan', { parent: 'e'.repeat(16) }, undefined],
    ['15 characters that are more bytes', 'macvlan', { parent: 'é'.repeat(8) }, undefined],
    ['no parent', 'macvlan', {}, undefined],
    ['a path', 'macvlan', { parent: '../eth1' }, undefined],
    ['two words', 'macvlan', { parent: 'eth1 up' }, undefined],
    ['an unknown mode', 'macvlan', { parent: 'eth1', macvlan_mode: 'open' }, undefined],
    ['another driver', 'bridge', { parent: 'eth1' }, undefined],
  ])('%s', (_name, driver, options, wanted) => {
    expect(macvlanOf({ driver, options })).toEqual(wanted);
  });
});
