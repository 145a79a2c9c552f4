import { AtollError, type ErrorReason } from '@atoll/errors';
import { decodeState, type ShimState } from './shim-state.ts';

/** A step of the shim that failed, as the shim reports it. */
export interface ShimFailure {
  /** A name from the list of steps in `native/README.md`. */
  readonly step: string;
  /** Symbolic, such as `ENOENT`; empty when the kernel had no part in it. */
  readonly errno: string;
  readonly message: string;
}

/**
 * The failure as an error. Its details hold `step`, `errno` and, for a command that cannot be run,
 * `exitCode` by Docker's rule: 127 not found, 126 found but not runnable, or a working directory that cannot be entered.
 */
export function shimError(failure: ShimFailure, context: string): AtollError {
  const details: Record<string, string> = { step: failure.step, errno: failure.errno };
  if (failure.step === 'exec') {
    details['exitCode'] = failure.errno === 'ENOENT' ? '127' : '126';
    return new AtollError('invalid-argument', failure.message, { details });
  }
  if (failure.step === 'enter working directory') {
    return new AtollError('invalid-argument', failure.message, { details: { ...details, exitCode: '126' } });
  }
  return new AtollError(reasonFor(failure), `${context}: step "${failure.step}" failed: ${failure.message}`, {
    details,
  });
}

const REASON_OF_ERRNO: Readonly<Record<string, ErrorReason>> = {
  ENOSPC: 'resource-exhausted',
  ENOMEM: 'resource-exhausted',
  EDQUOT: 'resource-exhausted',
  EMFILE: 'resource-exhausted',
  EROFS: 'permission-denied',
  ESRCH: 'not-found',
};

/** Steps that fail because of what somebody asked for or sent. */
const REASON_OF_STEP: Readonly<Record<string, ErrorReason>> = {
  arguments: 'invalid-argument',
  'read archive': 'invalid-argument',
  unpack: 'invalid-argument',
  'check digest': 'invalid-argument',
  'place volume': 'conflict',
  'resolve user': 'invalid-argument',
  'set resource limit': 'invalid-argument',
  'apply limit': 'invalid-argument',
  'limit storage': 'failed-precondition',
  'write sysctl': 'invalid-argument',
  'create device': 'invalid-argument',
  'run the runtime': 'invalid-argument',
  'mount bind': 'invalid-argument',
  'mount tmpfs': 'invalid-argument',
  signal: 'invalid-argument',
  state: 'conflict',
  'lock bundle': 'conflict',
};

function reasonFor({ step, errno }: ShimFailure): ErrorReason {
  if (step === 'find path') return errno === 'ENOENT' ? 'not-found' : 'invalid-argument';
  return REASON_OF_ERRNO[errno] ?? REASON_OF_STEP[step] ?? (errno === 'ENOENT' ? 'not-found' : 'internal');
}

export interface ShimReply {
  readonly request: number;
  /** Undefined when the request was carried out. */
  readonly failure: ShimFailure | undefined;
  /** Only in the answer to a state request. */
  readonly state: ShimState | undefined;
}

/** Payload of a REPLY frame: [u8 request][u8 ok], then a state, or step, errno and message ended by zeros. */
export function decodeReply(payload: Buffer): ShimReply {
  const request = payload.readUInt8(0);
  if (payload.readUInt8(1) === 1) {
    const state = payload.length > 2 ? decodeState(payload.subarray(2)) : undefined;
    return { request, failure: undefined, state };
  }
  const [step = '', errno = '', message = ''] = payload.toString('utf8', 2).split('\0');
  return { request, failure: { step, errno, message }, state: undefined };
}

/** Reads the one JSON line a sub-command prints when it fails; undefined when `line` is not one. */
export function parseFailureLine(line: string): ShimFailure | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('ok' in value) || value.ok !== false) return undefined;
  const { step, errno, message } = value as Record<string, unknown>;
  return { step: String(step), errno: String(errno), message: String(message) };
}
