/**
 * The bytes of an archive that several calls bring one after the other, read as one stream. It holds one piece at most; whoever
 * brings more waits.
 */
export class ArchiveInput implements AsyncIterable<Uint8Array> {
  readonly #waiting = new Set<() => void>();
  #piece: Uint8Array | undefined;
  #bytes = 0;
  #over = false;
  #error: unknown;

  /** What has been taken so far: the archive goes on behind it. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes all of a source, and with its end the archive's. Rejects with what the source throws, or the signal's reason: then the
   * archive has not ended, and nothing of the source is taken any more.
   */
  async take(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    for await (const piece of source) {
      while (this.#piece !== undefined && !this.#over && !signal.aborted) await this.#change(signal);
      signal.throwIfAborted();
      if (this.#over) return;
      this.#piece = piece;
      this.#bytes += piece.length;
      this.#tell();
    }
    signal.throwIfAborted();
    this.end();
  }

  /** Nothing more comes; what is here is still read, unless it is an error that has ended it. */
  end(error?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#error = error;
    this.#tell();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#piece === undefined && !this.#over) await this.#change();
      if (this.#error !== undefined) throw this.#error;
      const piece = this.#piece;
      if (piece === undefined) return;
      this.#piece = undefined;
      this.#tell();
      yield piece;
    }
  }

  #tell(): void {
    for (const go of this.#waiting) go();
  }

  #change(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        this.#waiting.delete(go);
        signal?.removeEventListener('abort', go);
        resolve();
      };
      this.#waiting.add(go);
      signal?.addEventListener('abort', go, { once: true });
    });
  }
}
