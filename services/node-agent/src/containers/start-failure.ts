import { AtollError, asAtollError } from '@atoll/errors';

/** Exit code Docker notes for a container that could not be started. */
export function startExitCode(error: unknown): number {
  const given = Number(asAtollError(error).details['exitCode']);
  return Number.isInteger(given) && given > 0 ? given : 128;
}

/**
 * A start that failed, in Docker's words: its CLI tells exit code 127 (no such command) and 126 (not runnable) from others by
 * the text of the runtime's message.
 */
export function startFailure(error: unknown): AtollError {
  const known = asAtollError(error);
  if (known.details['exitCode'] === undefined) return known;
  return new AtollError(
    'invalid-argument',
    `failed to create task for container: OCI runtime create failed: unable to start container process: ${known.message}: unknown`,
    { cause: error, details: known.details },
  );
}
