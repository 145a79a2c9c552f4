import { readFile } from 'node:fs/promises';
import { internal } from '@atoll/errors';

/** The agent's own bounding set (proc_pid_status(5), CapBnd). */
export async function ownCapabilities(): Promise<bigint> {
  const match = /^CapBnd:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8'));
  if (!match) throw internal('the kernel does not say which capabilities this process has');
  return BigInt(`0x${match[1]}`);
}
