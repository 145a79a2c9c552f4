import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLookup, VolumeHomes } from './backend.ts';
import { pinsOneHost } from './constraints.ts';

/**
 * Bind mounts tie a container to a host, but for those of the Docker socket, which every host has: they need a constraint to one, or a volume that is on one, unless the cluster has only one.
 * Volumes alone tie it to nothing here: the scheduler sends it where they are.
 * @returns constraints to add
 * @throws invalid-argument that says which constraint is missing
 */
export function placeMounts(
  spec: containerV1.ContainerSpec,
  lookup: Pick<ContainerLookup, 'nodeCount'> & VolumeHomes,
): readonly string[] {
  const bind = spec.mounts.find((mount) => mount.type === 'bind' && !mount.apiSocket);
  if (bind === undefined || lookup.nodeCount() <= 1) return [];
  const volumes = spec.mounts.filter((mount) => mount.type === 'volume' && !mount.anonymous);
  const [home] = volumes.map(({ source }) => lookup.volumeHome(source)).filter((node) => node !== undefined);
  if (home !== undefined || pinsOneHost(spec.constraints)) return [];
  throw invalidArgument(
    `bind mount "${bind.source}" belongs to one host, and this cluster has ${lookup.nodeCount()}: ` +
      'choose it with the label atoll.constraints=node.hostname==<host>',
  );
}
