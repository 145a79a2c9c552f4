import type { Constraint } from '../constraint.ts';
import type { Filter, Refusal } from '../filter.ts';

const refusals = new WeakMap<Constraint, Refusal>();

/** The host matches every constraint that is not a wish. */
export const CONSTRAINTS: Filter = {
  refuse: (node, { constraints }) => {
    for (const constraint of constraints) {
      if (!constraint.soft && !constraint.matches(node.facts)) return refusalOf(constraint);
    }
    return undefined;
  },
};

/** One refusal a constraint, so that hosts are counted by the constraint they fail. */
function refusalOf(constraint: Constraint): Refusal {
  let refusal = refusals.get(constraint);
  if (!refusal) {
    refusal = { one: `does not match ${constraint.text}`, many: `do not match ${constraint.text}` };
    refusals.set(constraint, refusal);
  }
  return refusal;
}
