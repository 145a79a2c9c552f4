/**
 * Keeps the layers of a running build out of the registry's garbage: until an image names them they are kept for a grace time
 * only, and a later step may take longer than that. Asking for a blob renews its time.
 */
export class LayerKeeper implements Disposable {
  readonly #digests = new Set<string>();
  readonly #touch: (digest: string) => Promise<unknown>;
  readonly #timer: NodeJS.Timeout;

  /** @param touch asks the store for a blob; what it throws does not matter, the image's creation will tell */
  constructor(touch: (digest: string) => Promise<unknown>, intervalMs = 10 * 60 * 1000) {
    this.#touch = touch;
    this.#timer = setInterval(() => void this.#round(), intervalMs);
    this.#timer.unref();
  }

  add(digest: string): void {
    this.#digests.add(digest);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #round(): Promise<void> {
    for (const digest of [...this.#digests]) await this.#touch(digest).catch(() => undefined);
  }
}
