import type { Filter, Refusal } from '../filter.ts';
import type { NodeInfo } from '../node-info.ts';
import { formatBytes, formatCpus } from '../quantity.ts';

const MEMORY: Refusal = {
  one: 'has too little free memory',
  many: 'have too little free memory',
  detail: (request, refused) => {
    const best = most(refused, (node) => node.freeMemory);
    return `needs ${formatBytes(request.claim.memory)}; most free: ${formatBytes(Math.max(0, best.freeMemory))} on ${best.facts.hostname}`;
  },
};

const CPU: Refusal = {
  one: 'has too few free CPUs',
  many: 'have too few free CPUs',
  detail: (request, refused) => {
    const best = most(refused, (node) => node.freeNanoCpus);
    return `needs ${formatCpus(request.claim.nanoCpus)}; most free: ${formatCpus(Math.max(0, best.freeNanoCpus))} on ${best.facts.hostname}`;
  },
};

/** What containers reserve never exceeds what the host has. Something that reserves nothing fits everywhere. */
export const RESOURCES: Filter = {
  refuse: (node, { claim }) => {
    if (claim.memory > 0 && claim.memory > node.freeMemory) return MEMORY;
    return claim.nanoCpus > 0 && claim.nanoCpus > node.freeNanoCpus ? CPU : undefined;
  },
};

function most(nodes: readonly NodeInfo[], value: (node: NodeInfo) => number): NodeInfo {
  return nodes.reduce((best, node) => (value(node) > value(best) ? node : best));
}
