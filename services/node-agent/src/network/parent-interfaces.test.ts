import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { possibleParents } from './parent-interfaces.ts';

const isOwn = (name: string): boolean => name.startsWith('own');
const up = { flags: ['BROADCAST', 'UP', 'LOWER_UP'], link_type: 'ether' };

describe('interfaces links can be made on', () => {
  test.each<[string, object, readonly string[]]>([
    ['one that is up', { ifname: 'eth1', ...up }, ['eth1']],
    ['a VLAN of one', { ifname: 'eth1.50', link: 'eth1', ...up }, ['eth1.50']],
    ['one that is down', { ifname: 'eth1', ...up, flags: ['BROADCAST'] }, []],
    ['loopback', { ifname: 'lo', ...up, link_type: 'loopback' }, []],
    ['a tunnel', { ifname: 'wg0', ...up, link_type: 'none' }, []],
    ['a port of a bridge', { ifname: 'eth1', ...up, master: 'br0' }, []],
    ["the agent's own", { ifname: 'own1', ...up }, []],
  ])('%s', (_name, one, wanted) => {
    expect(possibleParents(JSON.stringify([one]), isOwn)).toEqual(wanted);
  });

  test('in a fixed order, and no more than 256', () => {
    const many = Array.from({ length: 300 }, (_, at) => ({ ifname: `e${String(999 - at)}`, ...up }));
    const found = possibleParents(JSON.stringify(many), isOwn);
    expect([found.length, found[0], found[255]]).toEqual([256, 'e700', 'e955']);
    expect(possibleParents('', isOwn)).toEqual([]);
  });

  test('are what an agent tells of its host, with what its kernel makes on them', { timeout: 60_000 }, async () => {
    const host = await TestHost.create();
    try {
      expect(host.scheduler.hello?.facts).toMatchObject({
        parentInterfaces: ['uplink'],
        parentLinkKinds: ['macvlan'],
      });
      await host.killAgent();
      execFileSync('ip', ['-n', host.name, 'link', 'add', 'more', 'type', 'veth', 'peer', 'name', 'other']);
      execFileSync('ip', ['-n', host.name, 'link', 'set', 'more', 'up']);
      await host.startAgent();
      expect(host.scheduler.hello?.facts?.parentInterfaces).toEqual(['more', 'uplink']);
    } finally {
      await host.dispose();
    }
  });
});
