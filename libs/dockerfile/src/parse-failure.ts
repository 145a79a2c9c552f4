import { type AtollError, invalidArgument } from '@atoll/errors';

/** A fault in the Dockerfile in Docker's words; `details.line` carries the line (from 1) for the build's failure message. */
export function parseFailure(line: number, message: string): AtollError {
  return invalidArgument(`dockerfile parse error on line ${line}: ${message}`, { details: { line: String(line) } });
}
