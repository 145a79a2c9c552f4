import { open } from 'node:fs/promises';
import { exists } from '../../files/exists.ts';
import { runTool } from '../../processes/run-tool.ts';

/** What makes the WireGuard device of this host, or why nothing can. */
export type EncryptionSupport =
  | { readonly by: 'kernel' | 'userspace' }
  | { readonly by: 'nothing'; readonly reason: string };

/** Looks at the host once; what is installed later counts from the agent's next start. */
export async function detectEncryption(): Promise<EncryptionSupport> {
  // Addresses of hosts inside are link-local ones, which no route leads away from the device.
  if (!(await exists('/proc/self/net/if_inet6'))) return nothing('it has no IPv6');
  if (!(await runs('wg', '--version'))) return nothing('the program wg is not installed (package wireguard-tools)');
  if (await kernelHasWireGuard()) return { by: 'kernel' };
  if (!(await runs('wireguard-go', '--version'))) {
    return nothing('its kernel has no WireGuard, and the program wireguard-go is not installed');
  }
  const refusal = await open('/dev/net/tun', 'r+').then(
    (file) => file.close().then(() => undefined),
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  if (refusal !== undefined) {
    return nothing(`its kernel has no WireGuard, and wireguard-go needs /dev/net/tun (${refusal})`);
  }
  return { by: 'userspace' };
}

/** Tried in a network namespace that is gone afterwards. */
function kernelHasWireGuard(): Promise<boolean> {
  return runs('unshare', '--net', 'ip', 'link', 'add', 'name', 'probe', 'type', 'wireguard');
}

function runs(program: string, ...args: readonly string[]): Promise<boolean> {
  return runTool(program, args).then(
    () => true,
    () => false,
  );
}

function nothing(reason: string): EncryptionSupport {
  return { by: 'nothing', reason };
}
