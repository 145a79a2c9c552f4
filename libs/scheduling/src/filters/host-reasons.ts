import type { NodeFacts, NodeInfo } from '../node-info.ts';

const MOST_NAMED = 8;

/** Of the first of some hosts, why each of them cannot: `h1: its kernel has none`. */
export function hostReasons(
  hosts: readonly NodeInfo[],
  reasonOf: (facts: NodeFacts) => string | undefined,
  most = MOST_NAMED,
): readonly string[] {
  return hosts.slice(0, most).map(({ facts }) => `${facts.hostname}: ${reasonOf(facts)}`);
}
