import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProbe } from '../runtime/testing/shim-binary.ts';
import { TestHost } from '../testing/test-host.ts';
import { bridgeNameOf } from './bridge.ts';

let host: TestHost;
let bridge: string;
let attacker: containerV1.ContainerRecord;
/** Address and hardware address of the container that attacks, and those of its bridge. */
let own: { readonly ip: string; readonly mac: string };
const GATEWAY = { ip: '10.231.7.1', mac: '02:42:0a:e7:07:01' };

beforeAll(async () => {
  host = await TestHost.create();
  bridge = bridgeNameOf(host.nodeId);
  attacker = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
  await host.ensure(attacker);
  const { ipAddress, macAddress, pid } = await host.start(attacker);
  own = { ip: ipAddress, mac: macAddress };
  expect(pid).toBeGreaterThan(0);
});
afterAll(async () => {
  await host?.dispose();
});

function inHost(...command: string[]): string {
  return execFileSync('nsenter', [`--net=/run/netns/${host.name}`, ...command], { encoding: 'utf8' });
}

/** Sends a frame from the attacker's network namespace, as its raw socket would. */
async function send(frame: Buffer): Promise<void> {
  const { status } = await host.runtime.getStatus({ containerId: attacker.id });
  const said = execFileSync(
    'nsenter',
    [`--net=/proc/${status?.pid}/ns/net`, buildProbe(), 'frame', 'eth0', frame.toString('hex')],
    { encoding: 'utf8' },
  );
  expect(said).toBe('ok\n');
}

const bytes = (text: string, separator: string, radix: number): Buffer =>
  Buffer.from(text.split(separator).map((part) => Number.parseInt(part, radix)));
const ip = (text: string): Buffer => bytes(text, '.', 10);
const mac = (text: string): Buffer => bytes(text, ':', 16);

function checksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += data.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** UDP over IPv4 over Ethernet, to the bridge's hardware address. */
function udpFrame(from: string, to: string, port: number, text: string): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(40_000, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(8 + text.length, 4);
  const header = Buffer.from([0x45, 0, 0, 28 + text.length, 0, 1, 0, 0, 64, 17, 0, 0, ...ip(from), ...ip(to)]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([mac(GATEWAY.mac), mac(own.mac), Buffer.from([8, 0]), header, udp, Buffer.from(text)]);
}

/** What a UDP server of the host gets on any of its addresses, up to the text that ends it. */
async function heard(port: number, attack: () => Promise<void>): Promise<string> {
  const server = spawn('nsenter', [
    `--net=/run/netns/${host.name}`,
    process.execPath,
    '-e',
    `const s = require('dgram').createSocket('udp4'); s.bind(${port}, '0.0.0.0', () => console.error('bound')); s.on('message', (m) => { console.log(String(m)); if (String(m) === 'end') process.exit(); });`,
  ]);
  let text = '';
  server.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  try {
    await once(server.stderr, 'data');
    await attack();
    await send(udpFrame(own.ip, GATEWAY.ip, port, 'end'));
    await once(server, 'close', { signal: AbortSignal.timeout(10_000) });
  } finally {
    server.kill('SIGKILL');
  }
  return text;
}

describe('E29: router advertisements of a container', () => {
  /** ICMPv6 type 134 with a route to everything, from a link-local address to all nodes. */
  const advertisement = (): Buffer => {
    const source = Buffer.from('fe800000000000000000000000000001', 'hex');
    const target = Buffer.from('ff020000000000000000000000000001', 'hex');
    const icmp = Buffer.alloc(48);
    icmp.set([134, 0, 0, 0, 64, 0, 7, 8]);
    // Prefix information: 2001:db8:bad::/64, on link, for addresses.
    icmp.set([3, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8, 0, 0, 0, 0], 16);
    icmp.set(Buffer.from('20010db80bad00000000000000000000', 'hex'), 32);
    const length = Buffer.from([0, 0, 0, icmp.length]);
    icmp.writeUInt16BE(checksum(Buffer.concat([source, target, length, Buffer.from([0, 0, 0, 58]), icmp])), 2);
    const header = Buffer.from([0x60, 0, 0, 0, 0, icmp.length, 58, 255]);
    return Buffer.concat([
      mac('33:33:00:00:00:01'),
      mac(own.mac),
      Buffer.from([0x86, 0xdd]),
      header,
      source,
      target,
      icmp,
    ]);
  };

  test('give no address or route to the host or to a neighbour', async () => {
    const neighbour = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host.ensure(neighbour);
    const { pid } = await host.start(neighbour);
    await send(advertisement());
    // What has been sent before it was handled before it.
    expect(await heard(7001, async () => {})).toBe('end\n');
    expect(inHost('ip', '-6', 'addr', 'show', 'dev', bridge)).not.toContain('2001:db8:bad');
    expect(inHost('ip', '-6', 'route')).not.toMatch(/2001:db8:bad|default/);
    expect(
      execFileSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-6', 'addr', 'show', 'dev', 'eth0'], {
        encoding: 'utf8',
      }),
    ).toBe('');
    await host.remove(neighbour);
  });

  test('control: a bridge that accepts them takes the address', async () => {
    const setting = (name: string, value: string) =>
      inHost('sh', '-c', `echo ${value} >/proc/sys/net/ipv6/conf/${bridge}/${name}`);
    setting('disable_ipv6', '0');
    setting('accept_ra', '2');
    await expect
      .poll(async () => {
        await send(advertisement());
        return inHost('ip', '-6', 'addr', 'show', 'dev', bridge);
      })
      .toContain('2001:db8:bad');
    setting('accept_ra', '0');
    setting('disable_ipv6', '1');
  });
});

describe('E30: the loopback of the host, and addresses of others', () => {
  test.each([
    ['a packet to 127.0.0.1', () => udpFrame(own.ip, '127.0.0.1', 7002, 'attack')],
    ['a packet that claims to be from 127.0.0.1', () => udpFrame('127.0.0.1', GATEWAY.ip, 7002, 'attack')],
    ['a packet that claims to be from another network', () => udpFrame('192.0.2.1', GATEWAY.ip, 7002, 'attack')],
  ])('%s is dropped', async (_name, frame) => {
    expect(await heard(7002, () => send(frame()))).toBe('end\n');
  });

  test('control: with the rules gone and local routing on, it arrives', async () => {
    inHost('sh', '-c', `echo 1 >/proc/sys/net/ipv4/conf/${bridge}/route_localnet`);
    inHost('nft', 'delete', 'table', 'ip', bridge);
    try {
      expect(await heard(7003, () => send(udpFrame(own.ip, '127.0.0.1', 7003, 'attack')))).toBe('attack\nend\n');
    } finally {
      inHost('sh', '-c', `echo 0 >/proc/sys/net/ipv4/conf/${bridge}/route_localnet`);
      // The rules come back with the next agent: see host-network.test.ts.
      await host.killAgent();
      await host.startAgent();
    }
    expect(inHost('nft', 'list', 'tables')).toContain(bridge);
  });
});
