import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { Rlimit, RlimitName } from '../runtime/plan.ts';
import { RLIMIT_NUMBER } from '../runtime/plan-tags.ts';

/** A crash writes no file unless the container asks for core dumps: its files and its memory are not to fill the host. */
const NO_CORE: Rlimit = { name: 'core', soft: 0n, hard: 0n };

/** Throws invalid-argument for names the kernel does not have. */
export function rlimitsOf(ulimits: readonly containerV1.Ulimit[]): readonly Rlimit[] {
  const given = ulimits.map(({ name, soft, hard }): Rlimit => {
    if (!(name in RLIMIT_NUMBER)) throw invalidArgument(`invalid ulimit type: ${name}`);
    return { name: name as RlimitName, soft, hard };
  });
  return given.some(({ name }) => name === 'core') ? given : [NO_CORE, ...given];
}
