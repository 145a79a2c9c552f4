import { ENCRYPTED_OPTION, ENCRYPTED_VALUES } from '@atoll/docker-api';
import { invalidArgument, notFound, permissionDenied, unimplemented } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import { checkMacvlanOptions, isMacvlanOption, requireParent } from './macvlan-options.ts';

const DRIVERS: ReadonlySet<string> = new Set(['bridge', 'overlay', 'macvlan']);
const BRIDGE = 'com.docker.network.bridge.';
const MTU = 'com.docker.network.driver.mtu';
const LEAST_MTU = { ipv4: 576, ipv6: 1_280 } as const;
const MOST_MTU = 65_535;

/** Options with the values that mean what Atoll does anyway; the others of docker's are not built. */
const PLAIN: Readonly<Record<string, readonly string[]>> = {
  [`${BRIDGE}default_bridge`]: ['false'],
  [`${BRIDGE}enable_icc`]: ['true'],
  [`${BRIDGE}enable_ip_masquerade`]: ['true'],
  [`${BRIDGE}gateway_mode_ipv4`]: ['nat'],
  [`${BRIDGE}gateway_mode_ipv6`]: ['nat'],
  [`${BRIDGE}host_binding_ipv4`]: ['', '0.0.0.0'],
  [`${BRIDGE}inhibit_ipv4`]: ['false'],
  [`${BRIDGE}name`]: [],
  [`${BRIDGE}trusted_host_interfaces`]: [],
  'com.docker.network.container_iface_prefix': ['eth'],
  'com.docker.network.driver.overlay.vxlanid_list': [],
  'com.docker.network.enable_ipv4': ['true'],
  'com.docker.network.enable_ipv6': ['false'],
  'com.docker.network.host_ipv4': [],
  'com.docker.network.host_ipv6': [],
};
/** Of networks that have devices of their own on hosts. */
const BRIDGED = /^com\.docker\.network\.(bridge|driver\.overlay|host_ipv[46])/;
const SERIAL = 'com.docker.network.ipam.serial';

/** @throws not-found for plugins, unimplemented for drivers of docker's that are not built, permission-denied for host and null */
export function checkDriver(driver: string): void {
  if (DRIVERS.has(driver)) return;
  if (driver === 'host' || driver === 'null')
    throw permissionDenied(`only one instance of "${driver}" network is allowed`);
  if (driver === 'ipvlan') {
    throw unimplemented('Driver: ipvlan is not built; macvlan networks are on interfaces of hosts, too');
  }
  throw notFound(`could not find plugin ${driver} in v1 plugin registry: plugin not found`);
}

/** The MTU asked for, 0 when none was. @throws invalid-argument or unimplemented naming the option */
export function checkOptions({ driver, options, ipv6, configOnly }: networkV1.NetworkRecord): number {
  const isMacvlan = driver === 'macvlan';
  // A configuration has no driver yet.
  if (isMacvlan || configOnly) checkMacvlanOptions(options);
  for (const [name, value] of Object.entries(options)) {
    if (name === MTU || ((isMacvlan || configOnly) && isMacvlanOption(name))) continue;
    if (name === ENCRYPTED_OPTION && !isMacvlan) {
      if (ENCRYPTED_VALUES.includes(value)) continue;
      throw invalidArgument(`Options["${name}"]: want nothing, true or false (got ${JSON.stringify(value)})`);
    }
    const plain = isMacvlan && BRIDGED.test(name) ? undefined : PLAIN[name];
    if (!plain) throw invalidArgument(`Options: ${JSON.stringify(name)} is no known option of a ${driver} network`);
    if (!plain.includes(value)) {
      const only = plain.length === 0 ? '' : `, but ${plain.map((word) => JSON.stringify(word)).join(' and ')}`;
      throw unimplemented(`Options["${name}"]: ${JSON.stringify(value)} is not built yet${only}`);
    }
  }
  if (isMacvlan && !configOnly) requireParent(options);
  const text = options[MTU];
  if (text === undefined) return 0;
  const least = ipv6 ? LEAST_MTU.ipv6 : LEAST_MTU.ipv4;
  const mtu = Number(text);
  if (!/^\d{1,5}$/.test(text) || mtu < least || mtu > MOST_MTU) {
    throw invalidArgument(
      `Options["${MTU}"]: want a number between ${least} and ${MOST_MTU} (got ${JSON.stringify(text)})`,
    );
  }
  return mtu;
}

/** @throws not-found for plugins, invalid-argument for options that would be ignored */
export function checkIpam({ ipamDriver, ipamOptions }: networkV1.NetworkRecord): void {
  if (ipamDriver !== '' && ipamDriver !== 'default') {
    throw notFound(`could not find plugin ${ipamDriver} in v1 plugin registry: plugin not found (IPAM.Driver)`);
  }
  const unknown = Object.entries(ipamOptions).find(([name, value]) => name !== SERIAL || value !== 'true');
  if (unknown) throw invalidArgument(`IPAM.Options: ${unknown[0]}=${unknown[1]} is not known; ${SERIAL}=true is`);
}

const RESERVED: ReadonlySet<string> = new Set(['bridge', 'host', 'none', 'default']);

/** @throws invalid-argument, permission-denied with docker's text for names of built-in networks */
export function checkNetworkName(name: string): void {
  if (name.trim() === '') throw invalidArgument('Name: invalid network name: name is empty');
  if (RESERVED.has(name)) throw permissionDenied(`operation is not permitted on predefined ${name} network`);
  if (Buffer.byteLength(name) > 255 || /[\p{Cc}/]/u.test(name) || name.startsWith('container:')) {
    throw invalidArgument(
      `Name: invalid network name ${JSON.stringify(name)}: at most 255 bytes, no "/", no control characters, and not container:…`,
    );
  }
}

export function checkScope({ scope }: networkV1.NetworkRecord): void {
  if (['', 'local', 'swarm'].includes(scope)) return;
  throw invalidArgument(`Scope: ${JSON.stringify(scope)} is not known; want local or swarm`);
}
