import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { containerV1 } from '@atoll/proto';
import { buildProbe } from '../../runtime/testing/shim-binary.ts';
import type { TestHost } from '../../testing/test-host.ts';

export const GATEWAY = { ip: '10.231.7.1', mac: '02:42:0a:e7:07:01' };

/** Addresses of one end of a frame. */
export interface Place {
  readonly ip: string;
  readonly mac: string;
}

/** A container on the bridge of a test host that sends whatever it likes, as its raw socket could. */
export class Attacker {
  readonly host: TestHost;
  readonly record: containerV1.ContainerRecord;
  readonly own: Place;
  readonly #pid: number;

  private constructor(host: TestHost, record: containerV1.ContainerRecord, status: containerV1.ContainerStatus) {
    this.host = host;
    this.record = record;
    this.own = { ip: status.ipAddress, mac: status.macAddress };
    this.#pid = status.pid;
  }

  static async start(host: TestHost): Promise<Attacker> {
    const record = host.record(['sleep', '600'], { network: { mode: 'bridge' } });
    await host.ensure(record);
    return new Attacker(host, record, await host.start(record));
  }

  /** Name of its port on the bridge. */
  get port(): string {
    return `atv${this.record.id.slice(0, 12)}`;
  }

  inHost(...command: string[]): string {
    return execFileSync('nsenter', [`--net=/run/netns/${this.host.name}`, ...command], { encoding: 'utf8' });
  }

  inside(...command: string[]): string {
    return execFileSync('nsenter', [`--net=/proc/${this.#pid}/ns/net`, ...command], { encoding: 'utf8' });
  }

  send(frame: Buffer): void {
    const said = this.inside(buildProbe(), 'frame', 'eth0', frame.toString('hex'));
    if (said !== 'ok\n') throw new Error(`the frame was not sent: ${said}`);
  }

  /** What a UDP server of the host gets on any of its addresses, up to the text that ends it; with the sender's address when asked. */
  async heard(port: number, attack: () => unknown): Promise<string> {
    const server = spawn('nsenter', [
      `--net=/run/netns/${this.host.name}`,
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
      this.send(udpFrame(this.own, GATEWAY, port, 'end'));
      await once(server, 'close', { signal: AbortSignal.timeout(10_000) });
    } finally {
      server.kill('SIGKILL');
    }
    return text;
  }
}

const bytes = (text: string, separator: string, radix: number): Buffer =>
  Buffer.from(text.split(separator).map((part) => Number.parseInt(part, radix)));
export const ip = (text: string): Buffer => bytes(text, '.', 10);
export const mac = (text: string): Buffer => bytes(text, ':', 16);

export function checksum(data: Buffer): number {
  let sum = 0;
  for (let at = 0; at < data.length; at += 2) sum += data.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

/** UDP over IPv4 over Ethernet; `tag` puts an 802.1Q header in between. */
export function udpFrame(from: Place, to: Place, port: number, text: string | Buffer, tag?: number): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(40_000, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(8 + text.length, 4);
  const header = Buffer.from([0x45, 0, 0, 28 + text.length, 0, 1, 0, 0, 64, 17, 0, 0, ...ip(from.ip), ...ip(to.ip)]);
  header.writeUInt16BE(checksum(header), 10);
  const between = tag === undefined ? [] : [0x81, 0, 0, tag];
  return Buffer.concat([
    mac(to.mac),
    mac(from.mac),
    Buffer.from([...between, 8, 0]),
    header,
    udp,
    Buffer.from(text as Buffer),
  ]);
}

/** The first packet of an SCTP association (RFC 9260), with the checksum connection tracking asks for. */
export function sctpInit(from: Place, to: Place, port: number): Buffer {
  const sctp = Buffer.alloc(32);
  sctp.writeUInt16BE(40_000, 0);
  sctp.writeUInt16BE(port, 2);
  sctp.set([1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 16, 0, 0, 1, 0, 1, 0, 0, 0, 1], 12);
  sctp.writeUInt32LE(crc32c(sctp), 8);
  const header = Buffer.from([0x45, 0, 0, 52, 0, 1, 0, 0, 64, 132, 0, 0, ...ip(from.ip), ...ip(to.ip)]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([mac(to.mac), mac(from.mac), Buffer.from([8, 0]), header, sctp]);
}

function crc32c(data: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

/** An ARP reply: `sender` says that it has its IPv4 address. The frame itself comes from `frameMac`. */
export function arpReply(sender: Place, to: Place, frameMac = sender.mac): Buffer {
  const arp = [0, 1, 8, 0, 6, 4, 0, 2, ...mac(sender.mac), ...ip(sender.ip), ...mac(to.mac), ...ip(to.ip)];
  return Buffer.concat([mac(to.mac), mac(frameMac), Buffer.from([8, 6, ...arp])]);
}
