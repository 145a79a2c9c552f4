import { readFile } from 'node:fs/promises';
import { bundlePath } from './bundle.ts';
import type { ProcessIdentity } from './plan.ts';

/** The first process of a bundle's container, as its shim has noted it. */
export async function firstProcess(bundle: string): Promise<ProcessIdentity> {
  const [pid = '', startTicks = ''] = (await readFile(bundlePath(bundle, 'init'), 'utf8')).split(/\s+/);
  return { pid: Number(pid), startTicks: BigInt(startTicks) };
}
