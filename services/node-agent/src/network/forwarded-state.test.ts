import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@atoll/logging';
import { networkV1 } from '@atoll/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ForwardedPorts } from './forwarded-ports.ts';
import type { ForwardedTarget } from './nft-ruleset.ts';
import { StateJournal } from './state-journal.ts';

type State = Parameters<typeof networkV1.PortState.fromPartial>[0];

let folder: string;
/** Codes of errors a probe of a port fails with. */
let taken: Map<number, string>;
/** What the kernel has. */
let kernel: Map<string, ForwardedTarget>;
let failing: boolean;
let ports: ForwardedPorts;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-ports-'));
  taken = new Map();
  kernel = new Map();
  failing = false;
  ports = await made();
});
afterEach(async () => {
  await ports.stop();
  await rm(folder, { recursive: true, force: true });
});

async function made(): Promise<ForwardedPorts> {
  const one = new ForwardedPorts({
    hostIp: '192.0.2.1',
    hostIpv6: '2001:db8::1',
    forwarding: {
      isForwarded: (key) => kernel.has(key),
      forward: async (changes) => {
        if (failing) throw new Error('the kernel takes nothing');
        for (const [key, target] of changes) {
          if (target) kernel.set(key, target);
          else kernel.delete(key);
        }
      },
    },
    probe: async (_protocol, _host, port) => {
      const code = taken.get(port);
      if (code !== undefined) throw Object.assign(new Error(code), { code });
    },
    journal: await StateJournal.open(folder, networkV1.PortState),
    logger: createLogger({ service: 'test', level: 'silent' }),
  });
  await one.recover();
  return one;
}

const port = (hostPort: number, more: Partial<networkV1.ForwardedPort> = {}): networkV1.ForwardedPort => ({
  protocol: 'tcp',
  hostPort,
  hostIp: '192.0.2.2',
  hostIpv6: '',
  ...more,
});
const tell = (state: State): Promise<void> => ports.apply(networkV1.PortState.fromPartial(state));
const forwarded = (): Record<string, string> =>
  Object.fromEntries([...kernel].map(([key, { ipv4, ipv6 }]) => [key, [ipv4, ipv6].filter(Boolean).join(' ')]));

describe('what is told of ports', () => {
  test('a whole state, changes, another whole state', async () => {
    await tell({ complete: true, ports: [port(80), port(53, { protocol: 'udp' })] });
    expect(forwarded()).toEqual({ '80/tcp': '192.0.2.2', '53/udp': '192.0.2.2' });
    await tell({ ports: [port(80, { hostIp: '192.0.2.3' }), port(81)], gone: [port(53, { protocol: 'udp' })] });
    expect(forwarded()).toEqual({ '80/tcp': '192.0.2.3', '81/tcp': '192.0.2.2' });
    await tell({ complete: true, ports: [port(81)] });
    expect(forwarded()).toEqual({ '81/tcp': '192.0.2.2' });
  });

  test('a state in pieces counts with its last; half of one from an earlier session not at all', async () => {
    await tell({ complete: true, ports: [port(80)] });
    await tell({ complete: true, more: true, ports: [port(81)] });
    ports.sessionBegan();
    await tell({ ports: [port(82)] });
    expect(Object.keys(forwarded())).toEqual(['80/tcp', '82/tcp']);
    await tell({ complete: true, more: true, ports: [port(83)] });
    await tell({ more: true, ports: [port(84)] });
    expect(Object.keys(forwarded())).toEqual(['80/tcp', '82/tcp']);
    await tell({ ports: [port(85)] });
    expect(Object.keys(forwarded()).sort()).toEqual(['83/tcp', '84/tcp', '85/tcp']);
  });

  test.each<[string, Partial<networkV1.ForwardedPort>, string | undefined]>([
    ['both families', { hostIpv6: '2001:db8::2' }, '192.0.2.2 2001:db8::2'],
    ['an owner that shares this address has rules of its own', { hostIp: '192.0.2.1' }, undefined],
    ['an address that is none', { hostIp: 'x } ; flush ruleset' }, undefined],
    ['no address', { hostIp: '' }, undefined],
  ])('%s', async (_name, more, want) => {
    await tell({ ports: [port(80, more)] });
    expect(forwarded()['80/tcp']).toBe(want);
  });

  test.each<[string, State]>([
    ['protocol', { complete: true, ports: [port(81), port(82, { protocol: 'icmp' })] }],
    ['port', { complete: true, ports: [port(81), port(70_000)] }],
  ])('a wrong %s changes nothing', async (_name, state) => {
    await tell({ ports: [port(80)] });
    await tell(state);
    expect(Object.keys(forwarded())).toEqual(['80/tcp']);
  });

  test('is remembered by the next agent', async () => {
    await tell({ complete: true, ports: [port(80), port(81)] });
    await tell({ gone: [port(81)], ports: [port(82)] });
    await ports.stop();
    kernel.clear();
    ports = await made();
    await ports.flush();
    expect(Object.keys(forwarded()).sort()).toEqual(['80/tcp', '82/tcp']);
  });
});

describe('programs of this host', () => {
  test.each([
    ['EADDRINUSE', []],
    // The address others know the host by is not one of its own.
    ['EADDRNOTAVAIL', ['80/tcp']],
  ])('%s', async (code, want) => {
    taken.set(80, code);
    await tell({ ports: [port(80)] });
    expect(Object.keys(forwarded())).toEqual(want);
  });

  test('one that comes when the port is forwarded does not end that; one that leaves gives way', async () => {
    await tell({ ports: [port(80)] });
    taken.set(80, 'EADDRINUSE').set(81, 'EADDRINUSE');
    await tell({ ports: [port(80, { hostIp: '192.0.2.3' }), port(81)] });
    expect(forwarded()).toEqual({ '80/tcp': '192.0.2.3' });
    taken.clear();
    await tell({ ports: [port(81)] });
    expect(Object.keys(forwarded())).toEqual(['80/tcp', '81/tcp']);
  });
});

test('what the kernel refused is tried again with the next change', async () => {
  failing = true;
  await tell({ ports: [port(80)] });
  failing = false;
  await tell({ ports: [port(81)] });
  expect(Object.keys(forwarded()).sort()).toEqual(['80/tcp', '81/tcp']);
});
