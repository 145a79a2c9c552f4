import { unimplemented } from '@atoll/errors';
import type { containerV1, nodeV1 } from '@atoll/proto';
import type { NodeInfo } from '@atoll/scheduling';

const MOST_NAMED = 16;

/** The SELinux label options of a container, as given, which its host has to follow; undefined when any host will do. */
export function namedLabel({ security }: containerV1.ContainerSpec): string | undefined {
  const wishes = security?.selinux;
  if (wishes === undefined || wishes.disable) return undefined;
  return security?.securityOpt.filter((option) => /^label[=:]/.test(option)).join(' ') || 'label';
}

/** Why containers of a host have no labels; undefined when they have. */
export function noSELinux(facts: nodeV1.NodeFacts | undefined): string | undefined {
  if (facts?.selinux?.enabled) return undefined;
  return facts?.selinux?.missing || 'its agent does not say that it uses SELinux';
}

/** Throws unimplemented when no host of the cluster, up or down, uses SELinux. */
export function requireSELinux(infos: ReadonlyMap<string, NodeInfo>, label: string | undefined): void {
  const all = [...infos.values()];
  if (label === undefined || all.length === 0 || all.some(({ facts }) => facts.noSELinux === undefined)) return;
  const named = all.slice(0, MOST_NAMED).map(({ facts }) => `${facts.hostname}: ${facts.noSELinux}`);
  throw unimplemented(
    `HostConfig.SecurityOpt: "${label}": no host uses SELinux (${named.join('; ')}); only label=disable is taken`,
  );
}
