import { hasReason } from '@atoll/errors';
import { CommanderError } from 'commander';

/** Exit codes of the command: 0 done, 1 failed, 2 wrong usage, 3 took too long, 130 interrupted. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (hasReason(error, 'invalid-argument')) return 2;
  if (hasReason(error, 'deadline-exceeded')) return 3;
  if (hasReason(error, 'cancelled')) return 130;
  return 1;
}
