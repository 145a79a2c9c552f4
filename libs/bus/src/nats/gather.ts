/**
 * A container that starts and ends passes several states and makes several events within this time. Other processes hear of them that
 * much later, but once.
 */
const GATHER_MS = 40;

/** Ticks that all writers of a process share, so that what they have to say leaves in one piece. */
export class Gather {
  #next: Promise<void> | undefined;

  /** Resolves at the next tick, which is set when first asked for. */
  tick(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      setTimeout(() => {
        this.#next = undefined;
        resolve();
      }, GATHER_MS).unref();
    });
    return this.#next;
  }
}
