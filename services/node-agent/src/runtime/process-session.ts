import type { TerminalSize } from './plan.ts';
import type { ShimState } from './shim-state.ts';

export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** A live connection to the streams of one process: an attach or an exec. */
export interface ProcessSession {
  /**
   * Output in order of arrival, to be iterated once; ends after the process's exit (see `exit`) or
   * when the connection is lost. Not reading it slows the process down (backpressure) until the
   * session's stall limit, after which an attach is dropped.
   */
  output(): AsyncIterable<OutputChunk>;
  /** Resolves once the shim's side has room again. Rejects with `unavailable` when the session is over. */
  writeStdin(data: Uint8Array): Promise<void>;
  endStdin(): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /**
   * How the process ended. Known only once `output()` has been read to its end, wanted or not, as it comes
   * last on the same connection; rejects with `unavailable` when the connection was lost before.
   */
  readonly exit: Promise<ShimState>;
  /** Leaves; the process goes on (an exec whose session is closed keeps running without readers). */
  close(): void;
}
