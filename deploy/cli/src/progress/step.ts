export type StepState = 'waiting' | 'running' | 'done' | 'failed';

/** One line of progress: what is done, on which host, what it waits for. */
export interface Step {
  readonly id: string;
  readonly label: string;
  readonly state: StepState;
  /** What it waits for, or what came out of it. */
  readonly detail: string;
  /** Indentation: 0 for a heading. */
  readonly depth: number;
  /** Unix milliseconds. */
  readonly startedAt?: number;
  readonly endedAt?: number;
}
