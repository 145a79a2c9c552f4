import { AtollError, type ErrorReason } from './atoll-error.ts';

/** The class of anything thrown; what is not ours is `internal`, an aborted wait is `cancelled` or `deadline-exceeded`. */
export function reasonOf(error: unknown): ErrorReason {
  if (error instanceof AtollError) return error.reason;
  if (error instanceof Error && error.name === 'TimeoutError') return 'deadline-exceeded';
  if (error instanceof Error && error.name === 'AbortError') return 'cancelled';
  return 'internal';
}

export function hasReason(error: unknown, ...reasons: readonly ErrorReason[]): boolean {
  return reasons.includes(reasonOf(error));
}

/** Anything thrown as an AtollError, its cause kept. */
export function asAtollError(error: unknown): AtollError {
  if (error instanceof AtollError) return error;
  return new AtollError(reasonOf(error), error instanceof Error ? error.message : String(error), { cause: error });
}
