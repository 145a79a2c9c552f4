import type { Scorer } from '../scorer.ts';

/** Fewest containers first; among equals the one with the larger share of its memory free. */
export const SPREAD: Scorer = (node) => {
  const free = node.facts.memory > 0 ? Math.max(0, node.freeMemory) / node.facts.memory : 0;
  return 1 / (1 + node.containers + (1 - free) / 2);
};
