import { unimplemented } from '@atoll/errors';
import type { containerV1, nodeV1 } from '@atoll/proto';
import type { NodeInfo } from '@atoll/scheduling';

const MOST_NAMED = 16;

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

/** Throws unimplemented when no host of the cluster, up or down, knows profiles. */
export function requireAppArmor(infos: ReadonlyMap<string, NodeInfo>, profile: string | undefined): void {
  const all = [...infos.values()];
  if (profile === undefined || all.length === 0 || all.some(({ facts }) => facts.noAppArmor === undefined)) return;
  const named = all.slice(0, MOST_NAMED).map(({ facts }) => `${facts.hostname}: ${facts.noAppArmor}`);
  throw unimplemented(
    `HostConfig.SecurityOpt: "apparmor=${profile}": no host has AppArmor (${named.join('; ')}); only apparmor=unconfined is taken`,
  );
}
