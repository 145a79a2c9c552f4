import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@atoll/hosts';

/** As agents have them, see services/node-agent/src/apparmor/kernel-policy.ts. */
const PROFILE = 'atoll-default';
const POLICY = '/sys/kernel/security/apparmor';
const USERS = '/run/atoll/.apparmor';

/** $1: users, $2: policy, $3: profile. Under its lock: no agent claims the profile meanwhile, and nobody's process loses it. */
const REMOVE = `rmdir "$1" 2>/dev/null || exit 0
grep -qs "^$3 " /proc/[0-9]*/attr/apparmor/current && exit 0
grep -qs "^$3 " "$2/profiles" && printf %s "$3" > "$2/.remove"
exit 0`;

/**
 * After the hosts with data below this root have ended: gives the AppArmor profile back for agents that were killed, or that had left
 * containers running. The last user of the machine takes it out of the kernel. Safe to repeat.
 */
export async function releaseAppArmor(dataRoot: string): Promise<void> {
  const users = await readdir(USERS).catch(() => undefined);
  if (users === undefined) return;
  for (const user of users) {
    const root = await readFile(join(USERS, user), 'utf8').catch(() => '');
    if (root.startsWith(`${dataRoot}/`)) await rm(join(USERS, user), { force: true });
  }
  await runCommand('flock', [POLICY, 'sh', '-c', REMOVE, 'sh', USERS, POLICY, PROFILE]);
}
