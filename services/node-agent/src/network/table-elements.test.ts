import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@atoll/logging';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildShim } from '../runtime/testing/shim-binary.ts';
import { type ForwardedTarget, fullRuleset, type PublishedPort } from './nft-ruleset.ts';
import { portElements } from './port-elements.ts';
import { Subnet } from './subnet.ts';
import { TableElements } from './table-elements.ts';

const BRIDGE = 'atollelements';
const namespace = `atoll-test-${randomBytes(4).toString('hex')}`;
let folder: string;
let elements: TableElements;

const ip = execFileSync('which', ['ip'], { encoding: 'utf8' }).trim();
const inside = (args: readonly string[], input = ''): string =>
  execFileSync(ip, ['netns', 'exec', namespace, ...args], { input, encoding: 'utf8' });
const list = (): string => inside(['nft', 'list', 'ruleset']);

const port = (more: Partial<PublishedPort>): PublishedPort => ({
  ...{ protocol: 'tcp', hostIp: '', hostPort: 80, address: '10.0.0.2', containerPort: 8080 },
  ...more,
});
const target: ForwardedTarget = { protocol: 'udp', hostPort: 53, ipv4: '192.0.2.1', ipv6: '2001:db8::1' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-elements-'));
  const shim = join(folder, 'shim');
  await writeFile(shim, `#!/bin/sh\nexec ${ip} netns exec ${namespace} ${buildShim()} "$@"\n`, { mode: 0o755 });
  execFileSync(ip, ['netns', 'add', namespace]);
  // With an IPv6 table, which the first port with IPv6 brings.
  inside(['nft', '-f', '-'], fullRuleset(BRIDGE, Subnet.parse('10.0.0.0/24'), [], [{ ...target, hostPort: 1 }]));
  elements = new TableElements(shim, createLogger({ service: 'test', level: 'silent' }));
});
afterAll(async () => {
  elements?.stop();
  execFileSync(ip, ['netns', 'del', namespace]);
  await rm(folder, { recursive: true, force: true });
});

describe('elements of nftables', () => {
  test.each<[string, Parameters<typeof portElements>[1], readonly string[]]>([
    ['a port', { ports: [port({})] }, ['tcp . 80 : 10.0.0.2 . 8080']],
    [
      'a port of one address, of another protocol',
      { ports: [port({ hostIp: '10.1.1.1', protocol: 'sctp', hostPort: 65535 })] },
      ['10.1.1.1 . sctp . 65535 : 10.0.0.2 . 8080'],
    ],
    ['a port with IPv6', { ports: [port({ address: 'fd00::2' })] }, ['tcp . 80 : fd00::2 . 8080']],
    [
      'one of an IPv6 address',
      { ports: [port({ address: 'fd00::2', hostIp: '2001:db8::7' })] },
      ['2001:db8::7 . tcp . 80 : fd00::2 . 8080'],
    ],
    [
      'a port of another host',
      { forwarded: [target] },
      ['udp . 53 : 192.0.2.1 . 53', '192.0.2.1 . udp . 53', 'udp . 53 : 2001:db8::1 . 53', '2001:db8::1 . udp . 53'],
    ],
  ])('%s is what nft shows of it, until it is deleted', async (_name, ports, shown) => {
    const before = list();
    await elements.change(portElements(BRIDGE, {}, ports));
    const after = list();
    for (const text of shown) {
      expect(before).not.toContain(text);
      expect(after).toContain(text);
    }
    await elements.change(portElements(BRIDGE, ports, {}));
    expect(list()).toBe(before);
  });

  test('all or none: one that is not there leaves the others as they were', async () => {
    const before = list();
    const gone = { ports: [port({ hostPort: 4242 })] };
    await expect(elements.change(portElements(BRIDGE, gone, { ports: [port({})] }))).rejects.toMatchObject({
      reason: 'internal',
      message: expect.stringContaining('ENOENT'),
    });
    expect(list()).toBe(before);
    // And what comes after is answered for itself.
    await elements.change(portElements(BRIDGE, {}, { ports: [port({})] }));
    await elements.change(portElements(BRIDGE, { ports: [port({})] }, {}));
  });

  test('too many for one request are refused as a whole', async () => {
    const before = list();
    const many = Array.from({ length: 200 }, (_, index) => port({ hostPort: 1_000 + index }));
    await expect(elements.change(portElements(BRIDGE, {}, { ports: many }))).rejects.toThrow('EMSGSIZE');
    expect(list()).toBe(before);
  });

  test('requests that are sent at once are answered in their order', async () => {
    const ports = [port({ hostPort: 1 }), port({ hostPort: 2 }), port({ hostPort: 3 })];
    await Promise.all(ports.map((one) => elements.change(portElements(BRIDGE, {}, { ports: [one] }))));
    await elements.change(portElements(BRIDGE, { ports }, {}));
  });
});
