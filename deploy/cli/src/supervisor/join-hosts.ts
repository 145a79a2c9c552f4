import { join } from 'node:path';
import { runCommand } from '@atoll/hosts';
import type { JoinHostsRequest } from '../identity/join-hosts-main.ts';

/** Gives each host its identity by the same way as any machine that joins: token, pinned CA, signing request. */
export async function joinHosts(request: JoinHostsRequest): Promise<void> {
  const program = join(import.meta.dirname, '../identity/join-hosts-main.js');
  await runCommand(process.execPath, ['--disable-warning=ExperimentalWarning', program, JSON.stringify(request)], {
    timeoutMs: 30_000,
  });
}
