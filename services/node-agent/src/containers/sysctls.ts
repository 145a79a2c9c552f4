import { checkSysctls, type OwnNamespaces } from '@atoll/docker-api';

/** What Docker sets in a network namespace of the container's own. */
const NETWORK_DEFAULTS = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };

/** The gateway has refused others earlier; checked here again because what runs is what was checked. Throws invalid-argument. */
export function checkedSysctls(
  given: Readonly<Record<string, string>>,
  own: OwnNamespaces,
): Readonly<Record<string, string>> {
  checkSysctls(given, own);
  return own.network ? { ...NETWORK_DEFAULTS, ...given } : given;
}
