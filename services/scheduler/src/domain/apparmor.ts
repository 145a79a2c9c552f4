import type { containerV1, nodeV1 } from '@atoll/proto';

/** The AppArmor profile a container names, which its host has to have; undefined when any host will do. */
export function namedProfile(spec: containerV1.ContainerSpec): string | undefined {
  const name = spec.security?.apparmorProfile ?? '';
  return name === '' || name === 'unconfined' ? undefined : name;
}

/** Why containers of a host can name no profile; undefined when they can. */
export function noAppArmor(facts: nodeV1.NodeFacts | undefined): string | undefined {
  if (facts?.apparmor?.enabled) return undefined;
  return facts?.apparmor?.missing || 'its agent does not say that it has AppArmor';
}
