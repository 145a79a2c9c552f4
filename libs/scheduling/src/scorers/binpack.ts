import type { Scorer } from '../scorer.ts';

/** Fullest host first, by the scarcer of memory and CPU; then whole hosts stay empty. */
export const BINPACK: Scorer = (node, { claim }) => {
  const memory = share(node.reservedMemory + claim.memory, node.facts.memory);
  const cpu = share(node.reservedNanoCpus + claim.nanoCpus, node.facts.nanoCpus);
  // A container that reserves nothing still goes where others are.
  return Math.max(memory, cpu) * 0.9 + 0.1 * (1 - 1 / (1 + node.containers));
};

function share(part: number, whole: number): number {
  return whole > 0 ? Math.min(1, part / whole) : 0;
}
