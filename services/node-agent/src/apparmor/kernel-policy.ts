import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { runTool } from '../processes/run-tool.ts';
import { DEFAULT_PROFILE, PROFILE_TEXT, PROFILE_VERSION } from './default-profile.ts';

const ENABLED = '/sys/module/apparmor/parameters/enabled';
/** The policy of the whole machine; also what is locked while it is changed. */
const POLICY = '/sys/kernel/security/apparmor';
/**
 * A file for each agent that uses the default profile, with its data root in it, gone at boot as the policy is. The same is in
 * deploy/cli/src/supervisor/release-apparmor.ts.
 */
const USERS = '/run/atoll/.apparmor';
const TOOL_MS = 30_000;

/** $1: users, $2: this one's file, $3: its data root, $4: policy, $5: profile, $6: version. Never puts an older text in place of a newer one. */
const CLAIM = `set -e
mkdir -p "$1"
printf %s "$3" > "$1/$2"
loaded=$(sed -n "s,^$5//version-\\([0-9]*\\) .*,\\1,p" "$4/profiles" | sort -n | tail -n 1)
[ "\${loaded:-0}" -ge "$6" ] || exec apparmor_parser --replace --skip-cache`;

/** The last user takes the profile away, unless somebody else has given it to a process: that would be unconfined at once. */
const RELEASE = `rm -f "$1/$2"
rmdir "$1" 2>/dev/null || exit 0
grep -qs "^$5 " /proc/[0-9]*/attr/apparmor/current && exit 0
grep -qs "^$5 " "$4/profiles" && printf %s "$5" > "$4/.remove"
rmdir "\${1%/*}" 2>/dev/null
exit 0`;

/** Whether this kernel has AppArmor and it is on. */
export async function kernelHasAppArmor(): Promise<boolean> {
  return (await readFile(ENABLED, 'utf8').catch(() => '')).startsWith('Y');
}

/** Names of the profiles that are loaded. Rejects where securityfs is not mounted. */
export async function loadedProfiles(): Promise<ReadonlySet<string>> {
  const lines = (await readFile(`${POLICY}/profiles`, 'utf8')).split('\n');
  return new Set(lines.map((line) => line.replace(/ \([a-z]+\)$/, '')));
}

/** The profile this process is under itself, which may not let it choose others for its containers; empty for none. */
export async function ownProfile(): Promise<string> {
  const label = (await readFile('/proc/self/attr/apparmor/current', 'utf8').catch(() => '')).trim();
  return /(^|\()unconfined\)?$/.test(label) ? '' : label;
}

/** False too for a process that cannot be looked at. */
export async function isUnconfined(pid: number): Promise<boolean> {
  return (await readFile(`/proc/${pid}/attr/apparmor/current`, 'utf8').catch(() => '')).trim() === 'unconfined';
}

/** Loads the default profile unless this version of it, or a later one, is there. Throws failed-precondition or internal. */
export async function claimDefaultProfile(dataRoot: string): Promise<void> {
  await locked(CLAIM, dataRoot, PROFILE_TEXT);
}

/** For an agent that has no container left. */
export async function releaseDefaultProfile(dataRoot: string): Promise<void> {
  await locked(RELEASE, dataRoot, '');
}

function locked(script: string, dataRoot: string, input: string): Promise<string> {
  const user = createHash('sha256').update(dataRoot).digest('hex').slice(0, 16);
  const given = [USERS, user, dataRoot, POLICY, DEFAULT_PROFILE, String(PROFILE_VERSION)];
  return runTool('flock', [POLICY, 'sh', '-c', script, 'sh', ...given], { input, timeoutMs: TOOL_MS });
}
