import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { needsHostUsers } from '@atoll/scheduling';
import type { IdMap, UserNamespacePlan } from '../runtime/plan.ts';
import type { Shared } from './neighbours.ts';

/**
 * The user namespace of a container: its own, or the one of those whose namespaces it joins, which belong to it; undefined with the
 * host's. Throws invalid-argument, in docker's words where it has some, for what needs the host's.
 */
export function userNamespaceOf(
  spec: containerV1.ContainerSpec,
  shared: Shared | undefined,
  remap: IdMap | undefined,
): UserNamespacePlan | undefined {
  if (!remap || spec.usernsMode === 'host') return undefined;
  const refused = needsHostUsers(spec);
  if (refused !== undefined) throw invalidArgument(refused);
  const joined = Object.values(shared?.namespaces ?? {}).find((one) => one.mode === 'join');
  return { mode: joined ?? { mode: 'private' }, ids: remap };
}
