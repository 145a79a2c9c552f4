import { AtollError, asAtollError } from '@atoll/errors';

/** Exit code Docker notes for an exec that could not be started. */
export function execExitCode(error: unknown): number {
  const given = Number(asAtollError(error).details['exitCode']);
  return Number.isInteger(given) && given > 0 ? given : 126;
}

/** An exec that failed to start, in Docker's words. */
export function execFailure(error: unknown): AtollError {
  const known = asAtollError(error);
  if (known.details['exitCode'] === undefined) return known;
  return new AtollError(
    'invalid-argument',
    `OCI runtime exec failed: exec failed: unable to start container process: ${known.message}: unknown`,
    { cause: error, details: known.details },
  );
}
