import type { Filter, Refusal } from '../filter.ts';
import { hostReasons } from './host-reasons.ts';

const REFUSAL: Refusal = {
  one: 'has no AppArmor',
  many: 'have no AppArmor',
  detail: ({ apparmor }, refused) =>
    [`for profile ${apparmor}`, ...hostReasons(refused, (facts) => facts.noAppArmor)].join('; '),
};

/** What names a profile is not placed where the kernel knows none. */
export const APPARMOR: Filter = {
  refuse: (node, { apparmor }) => (apparmor !== undefined && node.facts.noAppArmor !== undefined ? REFUSAL : undefined),
};
