import { readdir, readFile, writeFile } from 'node:fs/promises';

const IPV6 = '/proc/sys/net/ipv6/conf';

/**
 * Routing of IPv6 between bridges and the world. With it a host stops taking its own routes from advertisements, unless told that
 * it is meant (accept_ra 2, Documentation/networking/ip-sysctl.rst): interfaces that took them go on.
 */
export async function ensureIpv6Forwarding(): Promise<void> {
  const all = `${IPV6}/all/forwarding`;
  if ((await readFile(all, 'utf8')).trim() === '1') return;
  for (const name of await readdir(IPV6)) {
    const path = `${IPV6}/${name}/accept_ra`;
    if (name === 'all' || (await readFile(path, 'utf8')).trim() !== '1') continue;
    if (name !== 'default') await writeFile(path, '2');
  }
  await writeFile(all, '1');
}
