import { unimplemented } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { hostReasons, type NodeFacts, type NodeInfo, needsHostUsers, type PlacementRequest } from '@atoll/scheduling';
import { namedProfile } from './apparmor.ts';
import { namedLabel } from './selinux.ts';
import { limitsStorage } from './storage-limits.ts';

const MOST_NAMED = 16;

/** What a container's host has to be able to do, wherever and whenever the container is placed. */
export function abilitiesFor(
  spec: containerV1.ContainerSpec,
): Pick<PlacementRequest, 'hostUsers' | 'apparmor' | 'limitsStorage' | 'selinux'> {
  return {
    hostUsers: needsHostUsers(spec),
    apparmor: namedProfile(spec),
    limitsStorage: limitsStorage(spec),
    selinux: namedLabel(spec),
  };
}

/** Throws unimplemented when no host of the cluster, up or down, can do what a security option asks for. */
export function requireSecurityModules(
  infos: ReadonlyMap<string, NodeInfo>,
  { apparmor, selinux }: Pick<PlacementRequest, 'apparmor' | 'selinux'>,
): void {
  const all = [...infos.values()];
  const require = (option: string, what: string, off: string, reasonOf: (facts: NodeFacts) => string | undefined) => {
    if (all.length === 0 || all.some(({ facts }) => reasonOf(facts) === undefined)) return;
    const reasons = hostReasons(all, reasonOf, MOST_NAMED).join('; ');
    throw unimplemented(`HostConfig.SecurityOpt: "${option}": no host ${what} (${reasons}); only ${off} is taken`);
  };
  if (apparmor !== undefined)
    require(`apparmor=${apparmor}`, 'has AppArmor', 'apparmor=unconfined', (facts) => facts.noAppArmor);
  if (selinux !== undefined) require(selinux, 'uses SELinux', 'label=disable', (facts) => facts.noSELinux);
}
