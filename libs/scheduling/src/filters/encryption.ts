import type { Filter, Refusal } from '../filter.ts';
import { hostReasons } from './host-reasons.ts';

const REFUSAL: Refusal = {
  one: 'cannot encrypt',
  many: 'cannot encrypt',
  detail: ({ encrypted }, refused) =>
    [`network ${encrypted} is encrypted`, ...hostReasons(refused, (facts) => facts.noEncryption)].join('; '),
};

/** What is in an encrypted network is not placed where its packets would have to leave the host in clear text. */
export const ENCRYPTION: Filter = {
  refuse: (node, { encrypted }) =>
    encrypted !== undefined && node.facts.noEncryption !== undefined ? REFUSAL : undefined,
};
