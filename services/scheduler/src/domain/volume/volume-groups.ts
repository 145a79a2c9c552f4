import { failedPrecondition, invalidArgument } from '@atoll/errors';
import { type containerV1, volumeV1 } from '@atoll/proto';
import type { VolumeContainer, VolumeOperations } from './volume-operations.ts';

const MAX_VOLUMES = 1_000;

/** Volumes that move in one step, and all containers that use them. */
export interface VolumeGroup {
  /** The first one decides for all; never empty. */
  readonly volumes: readonly [volumeV1.VolumeRecord, ...volumeV1.VolumeRecord[]];
  readonly users: readonly VolumeContainer[];
}

/**
 * The volumes of these names, and with `along` all that a container has in common with one of them, anonymous ones too: a container is
 * where all its volumes are. `own`: the operation that they may be in. Errors: as VolumeOperations.readable; invalid-argument when
 * they are on several hosts.
 */
export function volumeGroup(
  operations: VolumeOperations,
  names: readonly string[],
  along: boolean,
  own?: string,
): VolumeGroup {
  const volumes = new Map<string, volumeV1.VolumeRecord>();
  const users = new Map<string, VolumeContainer>();
  const wanted = [...names];
  for (const name of wanted) {
    if (volumes.has(name)) continue;
    if (volumes.size === MAX_VOLUMES)
      throw failedPrecondition(`more than ${MAX_VOLUMES} volumes would have to move together: move some by themselves`);
    const using = operations.users(name);
    volumes.set(name, operations.readable(name, own, unrecorded(name, using)));
    for (const user of using) {
      users.set(user.id, user);
      if (along) wanted.push(...volumesOf(user));
    }
  }
  const [first, ...others] = volumes.values();
  if (!first) throw invalidArgument('a move needs the name of a volume');
  const elsewhere = others.find(({ nodeId }) => nodeId !== first.nodeId);
  if (elsewhere)
    throw invalidArgument(
      `volume ${elsewhere.name} is on host ${operations.hostname(elsewhere.nodeId)}, volume ${first.name} on ${operations.hostname(first.nodeId)}: only volumes of one host move together`,
    );
  return { volumes: [first, ...others], users: [...users.values()] };
}

const volumesOf = ({ spec }: VolumeContainer): string[] =>
  spec.mounts.filter(({ type, source }) => type === 'volume' && source !== '').map(({ source }) => source);

/** An anonymous volume that a container has: it has no record of its own. */
function unrecorded(name: string, users: readonly VolumeContainer[]): volumeV1.VolumeRecord | undefined {
  for (const { spec, nodeId, createdAtNs } of users) {
    const mount = spec.mounts.find((one: containerV1.Mount) => one.type === 'volume' && one.source === name);
    if (!mount?.anonymous) continue;
    const { volumeLabels: labels, volumeOptions: options } = mount;
    return volumeV1.VolumeRecord.fromPartial({
      name,
      driver: 'local',
      labels,
      options,
      nodeId,
      createdAtNs,
      anonymous: true,
    });
  }
  return undefined;
}
