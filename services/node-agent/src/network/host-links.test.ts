import { execFileSync } from 'node:child_process';
import type { nodeV1 } from '@atoll/proto';
import { describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { HostLinks } from './host-links.ts';

type Logger = ConstructorParameters<typeof HostLinks>[0]['logger'];

/** A host whose interfaces are what the test says, and whose leader hears it or not. */
function host() {
  const state = { parents: ['eth0'], routes: ['10.0.0.0/24'], hears: true, fails: false, warnings: 0 };
  const told: nodeV1.HostLinks[] = [];
  const links = new HostLinks({
    onLinkRoutes: () => {
      if (state.fails) throw new Error('no routes');
      return state.routes;
    },
    parentInterfaces: async () => state.parents,
    tell: (value) => {
      if (state.hears) told.push(value);
      return state.hears;
    },
    lookMs: 3_600_000,
    logger: { warn: () => state.warnings++ } as unknown as Logger,
  });
  return { state, told, links };
}

describe("changes of a host's own network", () => {
  test('are told once, and nothing before the hello', async () => {
    const { state, told, links } = host();
    await links.look();
    expect(await links.forHello()).toEqual({ onLinkRoutes: ['10.0.0.0/24'], parentInterfaces: ['eth0'] });
    await links.look();
    expect(told).toEqual([]);
    state.parents = ['eth0', 'eth1'];
    await links.look();
    await links.look();
    state.routes = [];
    await links.look();
    expect(told).toEqual([
      { onLinkRoutes: ['10.0.0.0/24'], parentInterfaces: ['eth0', 'eth1'] },
      { onLinkRoutes: [], parentInterfaces: ['eth0', 'eth1'] },
    ]);
  });

  test('that nobody heard are told again, by a look or by the next hello', async () => {
    const { state, told, links } = host();
    await links.forHello();
    state.parents = [];
    state.hears = false;
    await links.look();
    state.hears = true;
    await links.look();
    expect(told).toHaveLength(1);
    state.parents = ['eth2'];
    await links.forHello();
    await links.look();
    expect(told).toHaveLength(1);
  });

  test('a look that fails is not the last', async () => {
    const { state, told, links } = host();
    await links.forHello();
    state.fails = true;
    await links.look();
    expect(state.warnings).toBe(1);
    state.fails = false;
    state.parents = [];
    await links.look();
    expect(told).toHaveLength(1);
  });

  test('an agent tells them during its session', { timeout: 60_000 }, async () => {
    const one = await TestHost.create();
    try {
      one.environment = { ATOLL_LINKS_SECONDS: '1' };
      await one.killAgent();
      await one.startAgent();
      const { hellos } = one.scheduler;
      const ip = (...args: string[]) => execFileSync('ip', ['-n', one.name, ...args]);
      ip('link', 'add', 'more', 'type', 'veth', 'peer', 'name', 'other');
      ip('addr', 'add', '10.250.7.1/24', 'dev', 'more');
      ip('link', 'set', 'more', 'up');
      ip('link', 'set', 'other', 'up');
      await expect
        .poll(() => one.scheduler.links, { timeout: 20_000 })
        .toMatchObject({
          parentInterfaces: ['more', 'other', 'uplink'],
          onLinkRoutes: expect.arrayContaining(['10.250.7.0/24']),
        });
      ip('link', 'del', 'more');
      await expect.poll(() => one.scheduler.links, { timeout: 20_000 }).toMatchObject({ parentInterfaces: ['uplink'] });
      expect(one.scheduler.hellos).toBe(hellos);
    } finally {
      await one.dispose();
    }
  });
});
