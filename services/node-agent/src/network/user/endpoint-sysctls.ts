import { invalidArgument } from '@atoll/errors';

const SYSCTLS = 'com.docker.network.endpoint.sysctls';
/** Chosen with the interface's name by the scheduler. */
const IFNAME = 'com.docker.network.endpoint.ifname';
const SETTING = /^net\.(ipv4|ipv6|mpls)\.((conf|neigh)\.)?IFNAME\.([a-z0-9_]+)=([^,\0\n]*)$/;

/**
 * What a container's driver options ask of one interface, as paths below /proc/sys. Throws invalid-argument, naming the option,
 * for what is not done.
 */
export function endpointSysctls(
  driverOpts: Readonly<Record<string, string>>,
  interfaceName: string,
): Readonly<Record<string, string>> {
  for (const name of Object.keys(driverOpts)) {
    if (name !== SYSCTLS && name !== IFNAME) {
      throw invalidArgument(`driver option "${name}" of an endpoint is not supported; known: ${SYSCTLS}, ${IFNAME}`);
    }
  }
  const given = driverOpts[SYSCTLS] ?? '';
  if (given === '') return {};
  return Object.fromEntries(
    given.split(',').map((item) => {
      const match = SETTING.exec(item.trim());
      if (!match) {
        throw invalidArgument(
          `"${item}" in driver option ${SYSCTLS} is not a setting such as net.ipv4.conf.IFNAME.log_martians=1`,
        );
      }
      const [, family = '', kind = '', , setting = '', value = ''] = match;
      return [`net/${family}/${kind.replace('.', '/')}${interfaceName}/${setting}`, value];
    }),
  );
}
