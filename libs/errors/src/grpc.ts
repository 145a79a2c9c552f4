import type { ErrorReason } from './atoll-error.ts';

/** gRPC status codes (grpc.io, statuscodes) by reason. Two reasons share a code only where gRPC has no finer one. */
const CODES: Readonly<Record<ErrorReason, number>> = {
  cancelled: 1,
  'invalid-argument': 3,
  'deadline-exceeded': 4,
  'not-found': 5,
  'already-exists': 6,
  'permission-denied': 7,
  'resource-exhausted': 8,
  'failed-precondition': 9,
  conflict: 10,
  'out-of-range': 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  'data-loss': 15,
  unauthenticated: 16,
};

const REASONS = new Map<number, ErrorReason>(
  Object.entries(CODES).map(([reason, code]) => [code, reason as ErrorReason]),
);

export function grpcCodeOf(reason: ErrorReason): number {
  return CODES[reason];
}

/** UNKNOWN (2) and codes of the future are `internal`. */
export function reasonOfGrpcCode(code: number): ErrorReason {
  return REASONS.get(code) ?? 'internal';
}
