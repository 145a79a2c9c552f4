/**
 * The classes an error of Atoll can have: a closed set, close to gRPC's codes (and to containerd's errdefs).
 * Code tests the class, never the text; each protocol translates it once, at its edge.
 */
export type ErrorReason =
  | 'invalid-argument' // the caller's input is wrong whatever the state is
  | 'unauthenticated'
  | 'permission-denied'
  | 'not-found'
  | 'already-exists'
  | 'conflict' // the state of the object forbids it (running, name in use, stale revision)
  | 'failed-precondition' // something else has to be true first (no host fits, feature missing on the host)
  | 'resource-exhausted'
  | 'out-of-range'
  | 'unimplemented' // named, known, and not built
  | 'unavailable' // try again: not the leader, peer gone, shutting down
  | 'deadline-exceeded'
  | 'cancelled'
  | 'data-loss' // stored bytes are not what they were
  | 'internal';

/** The one error type that crosses module borders. `message` is for people: what, why, what next. */
export class AtollError extends Error {
  override readonly name = 'AtollError';
  readonly reason: ErrorReason;
  /** Machine-readable extras for an edge, e.g. the exit code a start failure maps to. */
  readonly details: Readonly<Record<string, string>>;

  constructor(
    reason: ErrorReason,
    message: string,
    options: { readonly cause?: unknown; readonly details?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.details = options.details ?? {};
  }
}
