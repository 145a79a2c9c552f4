import type { containerV1, nodeV1 } from '@atoll/proto';

/** Why what a container stores cannot be limited on a host; undefined when it can. */
export function noStorageLimits(facts: nodeV1.NodeFacts): string | undefined {
  if (facts.storageLimits !== '') return undefined;
  return facts.noStorageLimits || 'its agent does not say that it can';
}

export function limitsStorage({ resources }: containerV1.ContainerSpec): boolean {
  return (resources?.storageLimit ?? 0n) > 0n;
}
