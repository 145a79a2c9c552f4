import { hasReason, invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { RELABEL_OPTIONS } from './mounts.ts';

/** What `--volumes-from` brings: mounts, and the containers they are of. */
export interface InheritedMounts {
  readonly mounts: readonly containerV1.Mount[];
  readonly containers: readonly ContainerView[];
}

/**
 * The volumes and binds of other containers, `container[:ro|rw]`; at the same path the later one holds.
 * @throws invalid-argument naming the container or mode
 */
export function inheritedMounts(given: readonly string[], lookup: ContainerLookup): InheritedMounts {
  const mounts = new Map<string, containerV1.Mount>();
  const containers: ContainerView[] = [];
  for (const item of given) {
    const [reference = '', ...modes] = item.split(':');
    const mode = modes.join(':');
    if (reference === '')
      throw invalidArgument('HostConfig.VolumesFrom: volumes-from specification cannot be an empty string');
    if (modes.length > 0 && mode !== 'ro' && mode !== 'rw' && !RELABEL_OPTIONS.has(mode)) {
      throw invalidArgument(`HostConfig.VolumesFrom: invalid mode: ${mode}: want ro, rw, z or Z`);
    }
    const view = otherContainer(reference, 'VolumesFrom', lookup);
    containers.push(view);
    for (const mount of view.spec.mounts) {
      if (mount.type === 'tmpfs') continue;
      const readOnly = mount.readOnly || mode === 'ro';
      const relabel = RELABEL_OPTIONS.get(mode) ?? '';
      mounts.set(mount.target, { ...mount, readOnly, noCopy: true, inherited: true, relabel });
    }
  }
  return { mounts: [...mounts.values()], containers };
}

/** A container that a field of HostConfig names. @throws invalid-argument: docker's 404 would make clients pull an image */
export function otherContainer(reference: string, field: string, lookup: ContainerLookup): ContainerView {
  try {
    return lookup.find(reference);
  } catch (error) {
    if (!hasReason(error, 'not-found', 'invalid-argument')) throw error;
    throw invalidArgument(
      `HostConfig.${field}: ${error instanceof Error ? error.message : `No such container: ${reference}`}`,
    );
  }
}
