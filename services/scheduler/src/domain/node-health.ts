const TICK_MS = 500;
/** A tick never counts for more than this: a scheduler that was paused itself has not listened to anybody. */
const MAX_TICK_MS = 750;

export interface HealthOptions {
  /** Silence after which a node is down. */
  readonly timeoutMs: number;
  /**
   * Silence after which a node is down while no node is heard at all: then it is rather this scheduler, its network or the whole
   * machine that is held up, and there is no host to place anything on.
   */
  readonly aloneTimeoutMs: number;
  /** How much longer a node may take at the start of a term to find the new leader. */
  readonly graceMs: number;
  readonly onDown: (nodeId: string) => void;
}

/** Which nodes are heard. Time is counted in ticks of the monotonic clock. */
export class NodeHealth {
  readonly #options: HealthOptions;
  readonly #silentMs = new Map<string, number>();
  readonly #ready = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #last = 0;
  #disrupted = false;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** Nodes that are expected: each has timeout and grace to be heard. */
  start(nodeIds: Iterable<string>): void {
    for (const id of nodeIds) this.#silentMs.set(id, -this.#options.graceMs);
    this.#last = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Its session is open and its containers are known. */
  up(nodeId: string): void {
    this.#ready.add(nodeId);
    this.#silentMs.set(nodeId, 0);
  }

  heard(nodeId: string): void {
    if (this.#silentMs.has(nodeId)) this.#silentMs.set(nodeId, 0);
  }

  isReady(nodeId: string): boolean {
    return this.#ready.has(nodeId);
  }

  /** Neither heard nor given up yet. */
  isAwaited(nodeId: string): boolean {
    return this.#silentMs.has(nodeId) && !this.#ready.has(nodeId);
  }

  forget(nodeId: string): void {
    this.#ready.delete(nodeId);
    this.#silentMs.delete(nodeId);
  }

  #tick(): void {
    const now = performance.now();
    const step = Math.min(now - this.#last, MAX_TICK_MS);
    this.#last = now;
    for (const [id, silent] of this.#silentMs) this.#silentMs.set(id, silent + step);
    this.#judge();
    const limit = this.#disrupted ? this.#options.aloneTimeoutMs : this.#options.timeoutMs;
    for (const [id, silent] of [...this.#silentMs]) {
      if (silent <= (this.#ready.has(id) ? limit : this.#options.timeoutMs)) continue;
      this.forget(id);
      this.#options.onDown(id);
    }
  }

  /** All nodes silent at once is a disruption; when the first is heard again, the others get their time anew. */
  #judge(): void {
    const half = this.#options.timeoutMs / 2;
    const ready = [...this.#ready];
    const allSilent = ready.length > 0 && ready.every((id) => (this.#silentMs.get(id) ?? 0) > half);
    if (this.#disrupted && !allSilent) for (const id of ready) this.#silentMs.set(id, 0);
    this.#disrupted = allSilent;
  }
}
