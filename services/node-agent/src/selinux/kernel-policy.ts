import { readFile, writeFile } from 'node:fs/promises';

const SELINUXFS = '/sys/fs/selinux';

/** Why SELinux is not active on this machine, to complete "host h1: …"; undefined when it is, enforcing or not. */
export async function whyInactive(): Promise<string | undefined> {
  const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  if ((await read(`${SELINUXFS}/enforce`)) === '')
    return `its kernel has no SELinux, or it is off (nothing is mounted at ${SELINUXFS})`;
  const own = (await read('/proc/self/attr/current')).split('\0')[0]?.trim() ?? '';
  // Before a policy is loaded everything is "kernel".
  return own === '' || own === 'kernel' ? 'its kernel has SELinux, and no policy is loaded' : undefined;
}

/** Whether the policy that is loaded has what the label names. */
export function isKnownLabel(label: string): Promise<boolean> {
  return writeFile(`${SELINUXFS}/context`, label).then(
    () => true,
    () => false,
  );
}
