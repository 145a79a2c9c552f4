import { invalidArgument } from '@atoll/errors';

const MAX_DEPTH = 8;
const COMPONENT = /^[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}$/;
/** Where the containers themselves are, one beside the other. */
const CONTAINER = /^[0-9a-f]{64}$/;

/**
 * The group a container's own group is made in, below the one its host gives to all containers: nobody gets out of that.
 * @throws invalid-argument naming the field
 */
export function cgroupParentOf(given: string): string {
  const components = given.split('/').filter(Boolean);
  const bad = components.find((name) => !COMPONENT.test(name) || CONTAINER.test(name) || /^cgroup\./.test(name));
  if (bad !== undefined || components.length > MAX_DEPTH) {
    throw invalidArgument(
      `invalid value for HostConfig.CgroupParent: "${given}": want a path of at most ${MAX_DEPTH} names of letters, digits, _ . : @ and -`,
    );
  }
  return components.join('/');
}
