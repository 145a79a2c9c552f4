import { isIP } from 'node:net';
import { ipBytes } from '../runtime/ip-bytes.ts';
import { type ForwardedTarget, type Protocol, type PublishedPort, tableOf } from './nft-ruleset.ts';
import type { TableElement } from './table-elements.ts';

/** What is to be withdrawn or published. */
export interface PortElements {
  readonly ports?: readonly PublishedPort[];
  readonly forwarded?: readonly ForwardedTarget[];
}

const PROTOCOL: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17, sctp: 132 };

/** The elements of published ports in the maps of `fullRuleset`. Throws RangeError for an address that is none. */
export function portElements(bridge: string, gone: PortElements, added: PortElements): TableElement[] {
  const table = tableOf(bridge);
  const elements = (change: 'add' | 'delete', { ports = [], forwarded = [] }: PortElements): TableElement[] => [
    ...ports.map((port) => ({ change, table, ...published(port) })),
    ...forwarded.flatMap((target) => forwards(target).map((element) => ({ change, table, ...element }))),
  ];
  return [...elements('delete', gone), ...elements('add', added)];
}

type Place = Omit<TableElement, 'change' | 'table'>;

function published({ protocol, hostIp, hostPort, address, containerPort }: PublishedPort): Place {
  const key = [protocolPart(protocol), portPart(hostPort)];
  const place = { family: familyOf(address), value: Buffer.concat([ipBytes(address), portPart(containerPort)]) };
  return hostIp === ''
    ? { ...place, set: 'published', key: Buffer.concat(key) }
    : { ...place, set: 'published_at', key: Buffer.concat([ipBytes(hostIp), ...key]) };
}

function forwards({ protocol, hostPort, ipv4, ipv6 }: ForwardedTarget): Place[] {
  const key = Buffer.concat([protocolPart(protocol), portPart(hostPort)]);
  return [ipv4, ipv6].flatMap((address) => {
    if (address === '') return [];
    const [family, to] = [familyOf(address), ipBytes(address)];
    return [
      { family, set: 'forwarded', key, value: Buffer.concat([to, portPart(hostPort)]) },
      { family, set: 'forwarded_to', key: Buffer.concat([to, key]), value: Buffer.alloc(0) },
    ];
  });
}

function familyOf(address: string): 'ip' | 'ip6' {
  return isIP(address) === 6 ? 'ip6' : 'ip';
}

function protocolPart(protocol: Protocol): Buffer {
  return Buffer.from([PROTOCOL[protocol], 0, 0, 0]);
}

function portPart(port: number): Buffer {
  const part = Buffer.alloc(4);
  part.writeUInt16BE(port);
  return part;
}
