import { networkInterfaces } from 'node:os';

/** Whether an address is one of this machine's (of this network namespace). */
export function isOwnAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((links) => links?.some((link) => link.address === address) ?? false);
}
