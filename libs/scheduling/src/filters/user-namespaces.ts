import type { Filter, Refusal } from '../filter.ts';

const REFUSAL: Refusal = {
  one: 'runs containers in user namespaces',
  many: 'run containers in user namespaces',
  detail: ({ hostUsers }) => hostUsers ?? '',
};

/** What needs the host's own users is not placed where containers have none of them. */
export const USER_NAMESPACES: Filter = {
  refuse: (node, { hostUsers }) => (hostUsers !== undefined && node.facts.usernsRemap ? REFUSAL : undefined),
};
