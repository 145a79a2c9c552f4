import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Logger } from '@atoll/logging';
import { spawnShim } from '../runtime/shim-child.ts';

/** Between two calls, so that a fight over the rules costs little. */
const PAUSE_MS = 250;
const RESTART_MS = 10_000;

/** Calls back when somebody has changed the nftables tables of one name; a process of the shim sleeps on the kernel's events. */
export class TableWatch {
  readonly #shim: string;
  readonly #table: string;
  readonly #onChange: () => Promise<void>;
  readonly #logger: Logger;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #state: 'idle' | 'busy' | 'again' = 'idle';

  constructor(options: {
    readonly shim: string;
    readonly table: string;
    readonly onChange: () => Promise<void>;
    readonly logger: Logger;
  }) {
    this.#shim = options.shim;
    this.#table = options.table;
    this.#onChange = options.onChange;
    this.#logger = options.logger;
  }

  start(): void {
    const child = spawnShim(this.#shim, ['watch-tables', this.#table], ['pipe', 'pipe', 'ignore'], true);
    this.#child = child;
    // Its standard input is its life line: it ends when this process does, however that happens.
    child.stdin?.on('error', () => undefined);
    if (child.stdout) createInterface({ input: child.stdout }).on('line', (line) => this.#heard(line));
    child.once('error', () => undefined);
    child.once('close', (code, signal) => {
      if (this.#stopped) return;
      this.#logger.warn({ code, signal }, 'the watch on nftables ended; it is started again');
      this.#timer = setTimeout(() => this.start(), RESTART_MS).unref();
    });
    child.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#child?.stdin?.end();
  }

  /** What was changed before the watch began is for the first look. */
  #heard(line: string): void {
    if (this.#state === 'idle') void this.#call();
    else if (line === 'changed') this.#state = 'again';
  }

  async #call(): Promise<void> {
    do {
      this.#state = 'busy';
      await this.#onChange().catch((error: unknown) => this.#logger.warn({ err: error }, 'network not in order'));
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS).unref());
    } while ((this.#state as string) === 'again' && !this.#stopped);
    this.#state = 'idle';
  }
}
