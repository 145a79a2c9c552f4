import { invalidArgument, unimplemented } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';

const IFNAME = 'com.docker.network.endpoint.ifname';
const ETH = /^eth\d+$/;

/**
 * The interface of a new endpoint inside its container: the name asked for, else the first free of eth0, eth1 …
 * @throws invalid-argument, naming the field
 */
export function interfaceName(
  field: string,
  driverOpts: Readonly<Record<string, string>>,
  taken: ReadonlySet<string>,
): string {
  const asked = driverOpts[IFNAME];
  if (asked === undefined || asked === '') {
    let index = 0;
    while (taken.has(`eth${index}`)) index++;
    return `eth${index}`;
  }
  const where = `${field}.DriverOpts["${IFNAME}"]`;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,14}$/.test(asked) || asked === 'lo' || ETH.test(asked)) {
    throw invalidArgument(
      `${where}: ${JSON.stringify(asked)} must be 1 to 15 letters, digits, "_", "." and "-", and neither lo nor eth<number>, which are given in turn`,
    );
  }
  if (taken.has(asked)) throw invalidArgument(`${where}: the container has an interface ${asked} already`);
  return asked;
}

/** @throws unimplemented for options that would be ignored */
export function checkDriverOptions(field: string, driverOpts: Readonly<Record<string, string>>): void {
  const unknown = Object.keys(driverOpts).find((name) => name !== IFNAME);
  if (unknown === undefined) return;
  throw unimplemented(`${field}.DriverOpts: ${unknown} is not built; only ${IFNAME} is`);
}

/**
 * The MAC address docker's bridge makes of an IPv4 address; of an IPv6 address its last four bytes stand in. When somebody has chosen
 * just that for another container the next one is taken.
 */
export function macFor(
  { ipv4, ipv6 }: { readonly ipv4: bigint | undefined; readonly ipv6: bigint | undefined },
  isTaken: (mac: string) => boolean,
): string {
  for (let number = ipv4 ?? (ipv6 ?? 0n) & 0xffff_ffffn; ; number = (number + 1n) & 0xffff_ffffn) {
    const hex = number.toString(16).padStart(8, '0');
    const mac = `02:42:${hex.replace(/(..)(?=.)/g, '$1:')}`;
    if (!isTaken(mac)) return mac;
  }
}

/** Lower case, colons. @throws invalid-argument, naming the field */
export function canonicalMac(field: string, text: string): string {
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) {
    throw invalidArgument(
      `${field}: ${JSON.stringify(text)} is not a valid mac address: six pairs of hex digits are wanted`,
    );
  }
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) {
    throw invalidArgument(`${field}: ${text} is the address of a group, no container can have it`);
  }
  if (mac === '00:00:00:00:00:00') throw invalidArgument(`${field}: ${text} stands for no address`);
  return mac;
}

/** Interfaces a container has or will have. @param bridge the default bridge's, when it is there */
export function takenInterfaces(bridge: string | undefined, endpoints: readonly networkV1.Endpoint[]): Set<string> {
  const taken = new Set(endpoints.map((endpoint) => endpoint.interfaceName));
  if (bridge !== undefined) taken.add(bridge);
  return taken;
}
