import { failedPrecondition } from '@atoll/errors';
import { runCommand } from '@atoll/hosts';

/** How acknowledged writes are made to survive a power cut. */
export interface NatsDurability {
  /** `sync`: the server syncs each write. `flags`: the folder's inode flags do. */
  readonly mode: 'sync' | 'flags';
  /** For people. */
  readonly description: string;
}

/**
 * nats-server 2.10 and newer sync each write themselves (`sync_interval: always`); for older ones the store's folder gets
 * the inode flags sync and dirsync, which its new files inherit (chattr(1)).
 * Errors: failed-precondition when neither holds; such a cluster would lose what it acknowledged.
 */
export async function ensureDurable(server: string, store: string): Promise<NatsDurability> {
  const version = await serverVersion(server);
  if (syncsEachWrite(version)) {
    return { mode: 'sync', description: `nats-server ${version} syncs each write` };
  }
  try {
    await runCommand('chattr', ['-R', '+S', '+D', store]);
    const [flags = ''] = (await runCommand('lsattr', ['-d', store])).split(' ');
    if (flags.includes('S') && flags.includes('D')) {
      return { mode: 'flags', description: `nats-server ${version} on a folder with the flags sync and dirsync` };
    }
  } catch (cause) {
    throw failedPrecondition(refusal(version, store), { cause });
  }
  throw failedPrecondition(refusal(version, store));
}

export async function serverVersion(server: string): Promise<string> {
  const text = await runCommand(server, ['--version']);
  return /v(\d+\.\d+\.\d+)/.exec(text)?.[1] ?? text.trim();
}

export function syncsEachWrite(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 10);
}

function refusal(version: string, store: string): string {
  return (
    `nats-server ${version} cannot sync each write and ${store} takes no sync flags (chattr +S +D), so a power cut would ` +
    'lose acknowledged state: install nats-server 2.10 or newer, or put the data root on ext4, xfs or btrfs'
  );
}
