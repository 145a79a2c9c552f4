import { invalidArgument } from '@atoll/errors';

const IPC = new Set([
  'kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni',
  'kernel.shm_rmid_forced',
]); // biome-ignore format: a table

/** What Docker sets in a network namespace of the container's own. */
const NETWORK_DEFAULTS = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' };

/** Only settings that belong to the container's own namespaces, one line each. Throws invalid-argument. */
export function checkedSysctls(
  given: Readonly<Record<string, string>>,
  own: { readonly network: boolean; readonly ipc: boolean },
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(given)) {
    const known =
      /^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$/.test(name) &&
      ((own.network && name.startsWith('net.')) || (own.ipc && (IPC.has(name) || name.startsWith('fs.mqueue.'))));
    if (!known) throw invalidArgument(`sysctl '${name}' is not allowed: it is not of the container's own namespaces`);
    if (/[\n\0]/.test(value)) throw invalidArgument(`the value of sysctl '${name}' must be one line`);
  }
  return own.network ? { ...NETWORK_DEFAULTS, ...given } : given;
}
