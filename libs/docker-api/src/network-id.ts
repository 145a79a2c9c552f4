import { createHash } from 'node:crypto';

/** Docker's name of the network that a NetworkMode means. */
export function networkNameOf(mode: string): string {
  return mode === '' || mode === 'default' ? 'bridge' : mode;
}

/** Ids of the networks every cluster has: fixed, for they are made from their names. */
export function networkIdOf(name: string): string {
  return createHash('sha256').update(`atoll network ${name}`).digest('hex');
}
