import type { ErrorReason } from './atoll-error.ts';

/** HTTP status by reason, as Docker's engine chooses them (its httpstatus mapping): a failed precondition is its 500, "no host fits" included. */
const STATUS: Readonly<Record<ErrorReason, number>> = {
  'invalid-argument': 400,
  'out-of-range': 400,
  unauthenticated: 401,
  'permission-denied': 403,
  'not-found': 404,
  'already-exists': 409,
  conflict: 409,
  'resource-exhausted': 429,
  'failed-precondition': 500,
  cancelled: 499,
  internal: 500,
  'data-loss': 500,
  unimplemented: 501,
  unavailable: 503,
  'deadline-exceeded': 504,
};

export function httpStatusOf(reason: ErrorReason): number {
  return STATUS[reason];
}
