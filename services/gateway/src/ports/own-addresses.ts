import { networkInterfaces } from 'node:os';

/**
 * Asking the kernel for all addresses waits for its lock of all interfaces, at times 20 ms while links are removed, and they
 * hardly ever change.
 */
const FRESH_MS = 1_000;

let known: ReadonlySet<string> = new Set();
let freshUntil = Number.NEGATIVE_INFINITY;

/** Whether an address is one of this machine's (of this network namespace). A change is seen within a second. */
export function isOwnAddress(address: string): boolean {
  const now = performance.now();
  if (now > freshUntil) {
    known = new Set(Object.values(networkInterfaces()).flatMap((links) => links?.map((link) => link.address) ?? []));
    freshUntil = now + FRESH_MS;
  }
  return known.has(address);
}
