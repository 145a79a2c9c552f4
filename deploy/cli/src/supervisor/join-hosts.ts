import { join } from 'node:path';
import { runCommand } from '@atoll/hosts';
import { needsCertificate } from '../identity/certificate-age.ts';
import type { JoinHostsRequest } from '../identity/join-hosts-main.ts';

/**
 * Gives each host its identity by the same way as any machine that joins: token, pinned CA, signing request. Hosts whose certificate
 * holds long enough cost nothing.
 */
export async function joinHosts(request: JoinHostsRequest): Promise<void> {
  const needed = await Promise.all(request.hosts.map((host) => needsCertificate(host.tlsDir)));
  if (!needed.includes(true)) return;
  const bundles = process.env['ATOLL_BUNDLES'];
  const program = bundles
    ? join(bundles, 'join-hosts.js')
    : join(import.meta.dirname, '../identity/join-hosts-main.js');
  await runCommand(process.execPath, ['--disable-warning=ExperimentalWarning', program, JSON.stringify(request)], {
    timeoutMs: 30_000,
  });
}
