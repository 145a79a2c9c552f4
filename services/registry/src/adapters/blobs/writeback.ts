import type { FileHandle } from 'node:fs/promises';

/** Bytes after which the disk is asked to begin. */
const STEP_BYTES = 16 * 1024 * 1024;

/** Lets the disk write while more bytes arrive, so that the last fsync has little left. One at a time; a failure counts. */
export class Writeback {
  readonly #file: FileHandle;
  #waiting = 0;
  #running: Promise<void> | undefined;
  #error: unknown;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  wrote(bytes: number): void {
    this.#waiting += bytes;
    if (this.#waiting < STEP_BYTES || this.#running !== undefined) return;
    this.#waiting = 0;
    this.#running = this.#file.datasync().then(
      () => {
        this.#running = undefined;
      },
      (error: unknown) => {
        this.#error = error;
      },
    );
  }

  /** Waits for what runs. Errors: what the disk said, at any time. */
  async settle(): Promise<void> {
    await this.#running;
    if (this.#error !== undefined) throw this.#error;
  }
}
