import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { containerV1 } from '@atoll/proto';

const S = containerV1.ContainerState;

export interface CommitFreezeOptions {
  readonly directory: string;
  readonly state: () => containerV1.ContainerState;
  readonly pause: () => Promise<void>;
  /** Does not fail for processes that have ended. */
  readonly thaw: () => Promise<void>;
  /** Runs a task after those before it, as everything that changes the container. */
  readonly inQueue: <T>(task: () => Promise<T>) => Promise<T>;
}

/**
 * The pause of a running container while commits read its files. It ends with the last of them: also when they fail, and, by a
 * file beside the container, when the agent dies meanwhile. A pause that a user asked for is left alone.
 */
export class CommitFreeze {
  readonly #options: CommitFreezeOptions;
  readonly #holders = new Set<symbol>();

  constructor(options: CommitFreezeOptions) {
    this.#options = options;
  }

  /** Runs `work` while the processes stand still; without processes it just runs. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const holder = Symbol('commit');
    await this.#options.inQueue(() => this.#take(holder));
    try {
      return await work();
    } finally {
      await this.#options.inQueue(() => this.#release(holder));
    }
  }

  /** A user has thawed the container: what is paused from now on is none of ours. Called in the queue. */
  async forget(): Promise<void> {
    this.#holders.clear();
    await rm(this.#marker, { force: true });
  }

  /** Thaws what a commit of the agent's last life has frozen. Called in the queue. */
  async recover(): Promise<void> {
    if (!existsSync(this.#marker)) return;
    await this.#thaw();
  }

  async #take(holder: symbol): Promise<void> {
    const { state, pause } = this.#options;
    if (this.#holders.size === 0) {
      if (state() !== S.RUNNING) return;
      await writeFile(this.#marker, '');
      try {
        await pause();
      } catch (error) {
        await rm(this.#marker, { force: true });
        throw error;
      }
    }
    this.#holders.add(holder);
  }

  async #release(holder: symbol): Promise<void> {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    await this.#thaw();
  }

  async #thaw(): Promise<void> {
    if (this.#options.state() === S.PAUSED) await this.#options.thaw();
    await rm(this.#marker, { force: true });
  }

  get #marker(): string {
    return join(this.#options.directory, 'frozen-by-commit');
  }
}
