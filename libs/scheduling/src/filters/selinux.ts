import type { Filter, Refusal } from '../filter.ts';
import { hostReasons } from './host-reasons.ts';

const REFUSAL: Refusal = {
  one: 'does not use SELinux',
  many: 'do not use SELinux',
  detail: ({ selinux }, refused) => [`for ${selinux}`, ...hostReasons(refused, (facts) => facts.noSELinux)].join('; '),
};

/** What names a label is not placed where containers have none. */
export const SELINUX: Filter = {
  refuse: (node, { selinux }) => (selinux !== undefined && node.facts.noSELinux !== undefined ? REFUSAL : undefined),
};
