import type { Filter, Refusal } from '../filter.ts';

const MOST_NAMED = 8;

const REFUSAL: Refusal = {
  one: 'cannot encrypt',
  many: 'cannot encrypt',
  detail: ({ encrypted }, refused) => {
    const named = refused.slice(0, MOST_NAMED).map(({ facts }) => `${facts.hostname}: ${facts.noEncryption}`);
    return [`network ${encrypted} is encrypted`, ...named].join('; ');
  },
};

/** What is in an encrypted network is not placed where its packets would have to leave the host in clear text. */
export const ENCRYPTION: Filter = {
  refuse: (node, { encrypted }) =>
    encrypted !== undefined && node.facts.noEncryption !== undefined ? REFUSAL : undefined,
};
