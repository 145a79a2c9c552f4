import { invalidArgument, unimplemented } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { z } from 'zod';
import { errorOfIssues } from '../../routing/zod-issues.ts';
import { absentable, knownFields, text, texts } from './lenient-object.ts';

const ACTIONS = [
  'SCMP_ACT_ALLOW', 'SCMP_ACT_ERRNO', 'SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_LOG',
  'SCMP_ACT_TRACE', 'SCMP_ACT_TRAP',
] as const; // biome-ignore format: a list
const OPERATORS = [
  'SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_LE', 'SCMP_CMP_LT', 'SCMP_CMP_MASKED_EQ', 'SCMP_CMP_NE',
] as const; // biome-ignore format: a list
/** The kernel keeps 16 bits, and its own error numbers end here. */
const ERRNO = absentable(z.int().min(0).max(4095));
const MAX_WORD = 0xffffffffffffffffn;
const WORD = absentable(
  z.custom<number | bigint>(
    (value) => (Number.isSafeInteger(value) && Number(value) >= 0) || (typeof value === 'bigint' && value <= MAX_WORD),
    `want a number from 0 to ${MAX_WORD}`,
  ),
);
const FILTER = absentable(
  knownFields({
    arches: texts,
    caps: texts,
    minKernel: absentable(z.string().regex(/^\d+\.\d+$/, 'want a version such as 4.8')),
  }),
);
const PROFILE = knownFields({
  defaultAction: z.enum(ACTIONS),
  defaultErrnoRet: ERRNO,
  architectures: texts,
  archMap: absentable(z.array(knownFields({ architecture: z.string(), subArchitectures: texts }))),
  flags: texts,
  listenerPath: text,
  listenerMetadata: text,
  syscalls: absentable(
    z.array(
      knownFields({
        name: text,
        names: texts,
        action: z.enum(ACTIONS),
        errnoRet: ERRNO,
        args: absentable(
          z.array(knownFields({ index: z.int().min(0).max(5), value: WORD, valueTwo: WORD, op: z.enum(OPERATORS) })),
        ),
        comment: z.unknown().optional(),
        includes: FILTER,
        excludes: FILTER,
      }),
    ),
  ),
});

type Rule = NonNullable<z.output<typeof PROFILE>['syscalls']>[number];

const MAX_LENGTH = 256 * 1024;
const NATIVE = 'SCMP_ARCH_X86_64';

/**
 * A seccomp profile in docker's format (`seccomp=<JSON>`, which the docker CLI reads from the file).
 * @throws invalid-argument naming the field inside the profile; unimplemented for listeners and flags
 */
export function seccompProfile(json: string): containerV1.SeccompProfile {
  if (json.length > MAX_LENGTH) throw failed(`it has ${json.length} characters, and ${MAX_LENGTH} are taken`);
  const value = parseJson(json);
  const parsed = PROFILE.safeParse(value);
  if (!parsed.success) throw failed(errorOfIssues(parsed.error, value).message);
  const profile = parsed.data;
  for (const field of ['flags', 'listenerPath', 'listenerMetadata'] as const) {
    if (profile[field]?.length)
      throw unimplemented(`HostConfig.SecurityOpt: ${field} of a seccomp profile is not built yet`);
  }
  if (profile.archMap?.length && profile.architectures?.length) {
    throw failed(
      "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'",
    );
  }
  const ofNative = profile.archMap?.find(({ architecture }) => architecture === NATIVE)?.subArchitectures;
  return containerV1.SeccompProfile.fromPartial({
    defaultAction: profile.defaultAction,
    ...errno('defaultErrnoRet', profile.defaultErrnoRet),
    i386: (ofNative ?? profile.architectures ?? []).includes('SCMP_ARCH_X86'),
    rules: (profile.syscalls ?? []).map(ruleOf),
  });
}

/** Numbers beyond what a double holds exactly keep all their digits. */
function parseJson(json: string): unknown {
  const exact = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^\d+$/.test(context?.source ?? '')
      ? BigInt(context?.source ?? '')
      : value;
  try {
    return JSON.parse(json, exact as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw failed(error instanceof Error ? error.message : String(error));
  }
}

function ruleOf(rule: Rule, index: number): containerV1.SeccompRule {
  if (rule.name && rule.names?.length) {
    throw failed(`syscalls.${index}: 'name' and 'names' were specified in the seccomp profile, use either of them`);
  }
  const names = rule.name ? [rule.name] : (rule.names ?? []);
  if (names.length === 0) throw failed(`syscalls.${index}: names must have at least one system call`);
  return containerV1.SeccompRule.fromPartial({
    names,
    action: rule.action,
    ...errno('errnoRet', rule.errnoRet),
    args: (rule.args ?? []).map(({ index: argument, value = 0, valueTwo = 0, op }) => ({
      index: argument,
      value: BigInt(value),
      valueTwo: BigInt(valueTwo),
      op,
    })),
    ...(rule.includes ? { includes: filterOf(rule.includes) } : {}),
    ...(rule.excludes ? { excludes: filterOf(rule.excludes) } : {}),
  });
}

function filterOf({
  arches = [],
  caps = [],
  minKernel = '',
}: NonNullable<Rule['includes']>): containerV1.SeccompFilter {
  return { arches: [...arches], caps: [...caps], minKernel };
}

function errno<K extends string>(field: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [field]: value } as Partial<Record<K, number>>);
}

function failed(why: string): Error {
  return invalidArgument(`HostConfig.SecurityOpt: decoding seccomp profile failed: ${why}`);
}
