import { checkSysctls, type OwnNamespaces } from '@atoll/docker-api';

/** What Docker sets in a network namespace of the container's own; the kernel takes no group that its user namespace lacks. */
const networkDefaults = (groups = 2 ** 31): Record<string, string> => ({
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': `0 ${groups - 1}`,
});

/** The gateway has refused others earlier; checked here again because what runs is what was checked. Throws invalid-argument. */
export function checkedSysctls(
  given: Readonly<Record<string, string>>,
  own: OwnNamespaces & { readonly groups?: number | undefined },
): Readonly<Record<string, string>> {
  checkSysctls(given, own);
  return own.network ? { ...networkDefaults(own.groups), ...given } : given;
}
