/** A line of Docker's progress stream. */
export interface Progress {
  readonly status?: string;
  readonly id?: string;
  /** Bytes done and in all. */
  readonly current?: number;
  readonly total?: number;
  readonly stream?: string;
  /** Docker's `aux` object. */
  readonly aux?: Readonly<Record<string, unknown>>;
}

/** Takes a line; waits while the reader is slow. */
export type Report = (line: Progress) => Promise<void>;
