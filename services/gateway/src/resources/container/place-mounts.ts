import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLookup } from './backend.ts';
import { pinsOneHost } from './constraints.ts';

/**
 * Mounts tie a container to a host. A named volume that other containers use follows them; a bind mount, or the first use of a
 * named volume, needs a constraint to one host, unless the cluster has only one.
 * @returns constraints to add
 * @throws invalid-argument that says which constraint is missing
 */
export function placeMounts(spec: containerV1.ContainerSpec, lookup: ContainerLookup): readonly string[] {
  const tied = spec.mounts.filter((mount) => mount.type === 'bind' || (mount.type === 'volume' && !mount.anonymous));
  if (tied.length === 0 || lookup.nodeCount() <= 1) return [];
  const homes = homesOf(new Set(tied.filter((mount) => mount.type === 'volume').map((mount) => mount.source)), lookup);
  if (homes.size > 1) {
    throw invalidArgument(`the volumes of this container are on different hosts (${[...homes].join(', ')})`);
  }
  const [home] = homes;
  if (home !== undefined) return [`node.id==${home}`];
  if (pinsOneHost(spec.constraints)) return [];
  const first = tied[0];
  throw invalidArgument(
    `${first?.type === 'bind' ? 'bind mount' : 'volume'} "${first?.source}" belongs to one host, and this cluster has ${lookup.nodeCount()}: ` +
      'choose it with the label atoll.constraints=node.hostname==<host>',
  );
}

function homesOf(volumes: ReadonlySet<string>, lookup: ContainerLookup): ReadonlySet<string> {
  const homes = new Set<string>();
  if (volumes.size === 0) return homes;
  for (const { record, spec } of lookup.list()) {
    if (record.nodeId === '') continue;
    if (spec.mounts.some((mount) => mount.type === 'volume' && volumes.has(mount.source))) homes.add(record.nodeId);
  }
  return homes;
}
