import type { Filter, Refusal } from '../filter.ts';
import { hostReasons } from './host-reasons.ts';

const REFUSAL: Refusal = {
  one: 'cannot limit what a container stores',
  many: 'cannot limit what a container stores',
  detail: (_request, refused) => hostReasons(refused, (facts) => facts.noStorageLimits).join('; '),
};

/** What has a limit of its storage is not placed where the limit would not hold. */
export const STORAGE_LIMITS: Filter = {
  refuse: (node, { limitsStorage }) =>
    limitsStorage === true && node.facts.noStorageLimits !== undefined ? REFUSAL : undefined,
};
