import { invalidArgument } from '@atoll/errors';

const IPC = new Set([
  'kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni',
  'kernel.shm_rmid_forced',
]); // biome-ignore format: a table

/** Which namespaces with settings are the container's own. */
export interface OwnNamespaces {
  readonly network: boolean;
  readonly ipc: boolean;
}

/** Only settings that belong to the container's own namespaces, one line each. @throws invalid-argument naming the setting */
export function checkSysctls(given: Readonly<Record<string, string>>, own: OwnNamespaces): void {
  for (const [name, value] of Object.entries(given)) {
    const known =
      /^[a-z0-9_]+(\.[A-Za-z0-9_-]+)+$/.test(name) &&
      ((own.network && name.startsWith('net.')) || (own.ipc && (IPC.has(name) || name.startsWith('fs.mqueue.'))));
    if (!known) {
      throw invalidArgument(
        `HostConfig.Sysctls: sysctl '${name}' is not allowed: it is not of the container's own namespaces (net.*, fs.mqueue.*, ${[...IPC].join(', ')} are, unless they are shared)`,
      );
    }
    if (/[\n\0]/.test(value))
      throw invalidArgument(`HostConfig.Sysctls: the value of sysctl '${name}' must be one line`);
  }
}
