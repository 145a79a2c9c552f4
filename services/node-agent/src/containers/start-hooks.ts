/** Called with the container's bundle between its preparation and its start: nothing of its output is missed. */
export type StartHook = (bundle: string) => Promise<void>;

/** What waits for the next preparation of a container. */
export class StartHooks {
  readonly #waiting = new Set<StartHook>();

  /** The function it gives withdraws. */
  add(hook: StartHook): () => void {
    this.#waiting.add(hook);
    return () => this.#waiting.delete(hook);
  }

  /** Calls each once. One that fails has to tell its own party: the container starts without it. */
  async fire(bundle: string): Promise<void> {
    const hooks = [...this.#waiting];
    this.#waiting.clear();
    await Promise.allSettled(hooks.map((hook) => hook(bundle)));
  }
}
