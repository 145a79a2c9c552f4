import { invalidArgument } from '@atoll/errors';

/** Folders of the system itself: with other labels its services could not start any more. */
// biome-ignore format: a list
const SYSTEM = new Set([
  '/', '/bin', '/boot', '/dev', '/etc', '/etc/passwd', '/etc/pki', '/etc/shadow', '/home', '/lib', '/lib64', '/media', '/mnt', '/opt', '/proc',
  '/root', '/run', '/sbin', '/srv', '/sys', '/tmp', '/usr', '/var', '/var/lib', '/var/log',
]);

/** Before a bind of this host gets another label (`:z`, `:Z`); `path` without links. Throws invalid-argument. */
export function requireRelabelSource(path: string): void {
  if (!SYSTEM.has(path)) return;
  throw invalidArgument(
    `bind source ${path} cannot be relabelled (:z, :Z): the system itself uses it; mount a folder below it, or leave the option out`,
  );
}
