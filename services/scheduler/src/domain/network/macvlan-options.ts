import { isInterfaceName, MACVLAN_MODE, MACVLAN_MODES, MACVLAN_PARENT } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';

const OPTIONS: ReadonlySet<string> = new Set([MACVLAN_PARENT, MACVLAN_MODE]);

export function isMacvlanOption(name: string): boolean {
  return OPTIONS.has(name);
}

/**
 * Parent and mode, as far as they are given: a configuration may leave both to nobody.
 * @throws invalid-argument naming the option
 */
export function checkMacvlanOptions(options: Readonly<Record<string, string>>): void {
  const parent = options[MACVLAN_PARENT] ?? '';
  const mode = options[MACVLAN_MODE] ?? '';
  if (parent === 'lo')
    throw invalidArgument('Options["parent"]: loopback interface is not a valid macvlan parent link');
  if (parent !== '' && !isInterfaceName(parent)) {
    throw invalidArgument(`Options["parent"]: ${JSON.stringify(parent)} is no name of a network interface`);
  }
  if (mode !== '' && !MACVLAN_MODES.some((name) => name === mode)) {
    throw invalidArgument(
      `Options["${MACVLAN_MODE}"]: requested macvlan mode ${JSON.stringify(mode)} is not valid; want ${MACVLAN_MODES.join(', ')}`,
    );
  }
}

/** @throws unimplemented for a network without an interface */
export function requireParent(options: Readonly<Record<string, string>>): void {
  if (options[MACVLAN_PARENT]) return;
  throw unimplemented(
    'Options["parent"]: a macvlan network without an interface of the hosts is not built; name one (-o parent=eth0), or make an internal network of driver bridge',
  );
}
