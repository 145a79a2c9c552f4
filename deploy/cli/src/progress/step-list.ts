import type { Step } from './step.ts';

/** Steps in order of their first mention; tells a listener about each change. */
export class StepList {
  readonly #steps = new Map<string, Step>();
  readonly #changed: () => void;

  constructor(changed: () => void = () => undefined) {
    this.#changed = changed;
  }

  list(): readonly Step[] {
    return [...this.#steps.values()];
  }

  plan(id: string, label: string, detail = '', depth = 0): void {
    this.#set({ id, label, state: 'waiting', detail, depth });
  }

  detail(id: string, detail: string): void {
    const step = this.#steps.get(id);
    if (step) this.#set({ ...step, detail });
  }

  /** Runs the work of a step; its failure marks the step and goes on to the caller. `work` gets a setter of the detail. */
  async run<T>(
    step: { readonly id: string; readonly label: string; readonly detail?: string; readonly depth?: number },
    work: (detail: (text: string) => void) => Promise<T>,
  ): Promise<T> {
    const startedAt = Date.now();
    const begun: Step = { detail: '', depth: 0, ...step, state: 'running', startedAt };
    this.#set(begun);
    const current = () => this.#steps.get(step.id) ?? begun;
    try {
      const result = await work((text) => this.detail(step.id, text));
      this.#set({ ...current(), state: 'done', endedAt: Date.now() });
      return result;
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#set({ ...current(), state: 'failed', detail, endedAt: Date.now() });
      throw error;
    }
  }

  #set(step: Step): void {
    this.#steps.set(step.id, step);
    this.#changed();
  }
}
