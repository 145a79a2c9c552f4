import type { Filter, Refusal } from '../filter.ts';

const LACKS: Refusal = {
  one: 'lacks the runtime',
  many: 'lack the runtime',
  detail: ({ runtime }) => runtime ?? '',
};

/** The host has the runtime that is asked for. */
export const RUNTIME: Filter = {
  refuse: ({ facts }, { runtime }) => (runtime && !facts.runtimes.has(runtime) ? LACKS : undefined),
};
