import type { Filter, Refusal } from '../filter.ts';

const MOST_NAMED = 8;

const REFUSAL: Refusal = {
  one: 'has no AppArmor',
  many: 'have no AppArmor',
  detail: ({ apparmor }, refused) => {
    const named = refused.slice(0, MOST_NAMED).map(({ facts }) => `${facts.hostname}: ${facts.noAppArmor}`);
    return [`for profile ${apparmor}`, ...named].join('; ');
  },
};

/** What names a profile is not placed where the kernel knows none. */
export const APPARMOR: Filter = {
  refuse: (node, { apparmor }) => (apparmor !== undefined && node.facts.noAppArmor !== undefined ? REFUSAL : undefined),
};
