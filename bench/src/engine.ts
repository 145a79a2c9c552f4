/** One of the two sides of a comparison: a Docker API and a way to know what it costs. */
export interface Engine {
  readonly name: string;
  /** `unix://…`. */
  readonly dockerHost: string;
  /** CPU time in ns that daemons, shims and containers have used so far; clients are counted apart. */
  cpu(): number;
  stop(): Promise<void>;
}
