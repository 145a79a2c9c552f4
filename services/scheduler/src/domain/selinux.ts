import type { containerV1, nodeV1 } from '@atoll/proto';

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
