import type { ArgumentRule, Decision } from './bpf-compiler.ts';
import { word64 } from './bpf-condition.ts';

/** Calls of i386 that stand for many: what each value of the first argument does (linux/net.h, linux/ipc.h). */
const CALLS: Readonly<
  Record<string, { readonly mask: bigint; readonly names: readonly (readonly [number, string])[] }>
> = {
  socketcall: {
    mask: 0xffffffffn,
    names:
      `socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt
      getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg`
        .split(/\s+/)
        .map((name, index) => [index + 1, name] as const),
  },
  ipc: {
    // The upper half is a version.
    mask: 0xffffn,
    names: [
      [1, 'semop'], [2, 'semget'], [3, 'semctl'], [4, 'semtimedop'], [11, 'msgsnd'], [12, 'msgrcv'], [13, 'msgget'],
      [14, 'msgctl'], [21, 'shmat'], [22, 'shmdt'], [23, 'shmget'], [24, 'shmctl'],
    ], // biome-ignore format: a table
  },
};

/**
 * Without rules for `socketcall` or `ipc` itself, those for `socket` and the others hold through them too: else what a profile
 * refuses could be reached this way. What a rule looks at is in memory then, so one that refuses sometimes refuses always.
 */
export function multiplexed(
  name: string,
  rulesOf: (name: string) => Decision | undefined,
  byDefault: number,
): Decision | undefined {
  const call = CALLS[name];
  if (!call) return undefined;
  const rules = call.names.flatMap(([number, inner]): ArgumentRule[] => {
    const result = strictest(rulesOf(inner), byDefault);
    if (result === undefined || result === byDefault) return [];
    const condition = {
      argument: 0,
      mask: word64(call.mask),
      comparison: 'eq',
      value: word64(BigInt(number)),
    } as const;
    return [{ conditions: [condition], result }];
  });
  return rules.length > 0 ? { kind: 'rules', rules, otherwise: byDefault } : undefined;
}

/** The kernel's own order: of two results the smaller one, signed, is the stricter (seccomp(2), "the first-seen action"). */
function strictest(decision: Decision | undefined, byDefault: number): number | undefined {
  if (decision?.kind === 'return') return decision.value;
  if (decision?.kind !== 'rules') return undefined;
  return [...decision.rules.map(({ result }) => result), decision.otherwise, byDefault].reduce((a, b) =>
    (a | 0) <= (b | 0) ? a : b,
  );
}
