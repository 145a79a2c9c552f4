import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { failedPrecondition } from '@atoll/errors';
import type { Bus } from './connection.ts';

export interface DurabilityClaim {
  /** How the launcher made the store durable: `sync` (`sync_interval: always`), `flags` (`chattr +S +D` on the folder). */
  readonly mode: 'sync' | 'flags' | undefined;
  /** The JetStream folder, when it is on this machine. */
  readonly storeDir?: string;
}

/** `sync_interval` came with nats-server 2.10. */
const SYNC_SINCE = [2, 10] as const;

/**
 * Refuses to call desired state durable when nothing makes it so: an acknowledged write must survive a power cut.
 * Errors: failed-precondition that says what to change.
 */
export async function assertDurable(bus: Pick<Bus, 'serverVersion'>, claim: DurabilityClaim): Promise<void> {
  const version = bus.serverVersion();
  if (claim.mode === 'sync' && isAtLeast(version, SYNC_SINCE)) return;
  if (claim.mode === 'flags' && claim.storeDir !== undefined) {
    if (await hasSyncFlags(claim.storeDir)) return;
    throw failedPrecondition(
      `the folder ${claim.storeDir} lacks the flags S and D: set them with chattr -R +S +D while nats-server is stopped`,
    );
  }
  const reason =
    claim.mode === 'sync'
      ? `nats-server ${version} does not know sync_interval (2.10 and newer do)`
      : claim.mode === 'flags'
        ? 'the JetStream folder to check is not named'
        : 'nothing says how writes reach the disk';
  throw failedPrecondition(
    `desired state would not survive a power cut: ${reason}. Use nats-server 2.10 or newer with "sync_interval: always", or chattr +S +D on its JetStream folder`,
  );
}

export function isAtLeast(version: string, wanted: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return major > wanted[0] || (major === wanted[0] && minor >= wanted[1]);
}

async function hasSyncFlags(dir: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('lsattr', ['-d', dir], { timeout: 5_000 });
    const flags = stdout.split(' ', 1)[0] ?? '';
    return flags.includes('S') && flags.includes('D');
  } catch (cause) {
    throw failedPrecondition(`cannot read the inode flags of ${dir}`, { cause });
  }
}
