import { createHash } from 'node:crypto';

/** Ids of the networks every cluster has: fixed, for they are made from their names. */
export function networkIdOf(name: string): string {
  return createHash('sha256').update(`atoll network ${name}`).digest('hex');
}
