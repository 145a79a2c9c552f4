import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { Rlimit, RlimitName } from '../runtime/plan.ts';
import { RLIMIT_NUMBER } from '../runtime/plan-tags.ts';

/** Throws invalid-argument for names the kernel does not have. */
export function rlimitsOf(ulimits: readonly containerV1.Ulimit[]): readonly Rlimit[] {
  return ulimits.map(({ name, soft, hard }) => {
    if (!(name in RLIMIT_NUMBER)) throw invalidArgument(`invalid ulimit type: ${name}`);
    return { name: name as RlimitName, soft, hard };
  });
}
