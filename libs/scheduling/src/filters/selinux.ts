import type { Filter, Refusal } from '../filter.ts';

const MOST_NAMED = 8;

const REFUSAL: Refusal = {
  one: 'does not use SELinux',
  many: 'do not use SELinux',
  detail: ({ selinux }, refused) => {
    const named = refused.slice(0, MOST_NAMED).map(({ facts }) => `${facts.hostname}: ${facts.noSELinux}`);
    return [`for ${selinux}`, ...named].join('; ');
  },
};

/** What names a label is not placed where containers have none. */
export const SELINUX: Filter = {
  refuse: (node, { selinux }) => (selinux !== undefined && node.facts.noSELinux !== undefined ? REFUSAL : undefined),
};
