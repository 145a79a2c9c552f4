import type { imageV1 } from '@atoll/proto';
import type { BuildOutput } from './build-output.ts';

type Item = { readonly text: string } | { readonly progress: imageV1.Progress };

export interface OrderedOutputOptions {
  readonly sink: BuildOutput;
  /** Stages in the order their output is to appear. */
  readonly order: readonly number[];
  /** Characters buffered for each stage that is not shown yet. */
  readonly limit: number;
  /** Told whose turn it is. */
  readonly onLive: (stage: number) => void;
  /** Ends the waiting of those whose buffer is full. */
  readonly signal: AbortSignal;
}

/**
 * Shows the output of stages that run at the same time in the order of the Dockerfile: the earliest unfinished stage's output
 * passes through, later ones fill a bounded buffer and then wait.
 */
export class OrderedOutput {
  readonly #sink: BuildOutput;
  readonly #order: readonly number[];
  readonly #stages = new Map<number, StageOutput>();
  readonly #onLive: (stage: number) => void;
  #position = 0;

  constructor(options: OrderedOutputOptions) {
    this.#sink = options.sink;
    this.#order = options.order;
    this.#onLive = options.onLive;
    for (const stage of options.order) this.#stages.set(stage, new StageOutput(options.limit, options.signal));
    // Nothing is buffered yet, so this only opens it.
    void this.#current()?.open(this.#sink);
  }

  of(stage: number): BuildOutput {
    return this.#stages.get(stage) ?? this.#sink;
  }

  /** The stage is done; when it was the one shown, the next one's turn comes, its buffer first. */
  async finish(stage: number): Promise<void> {
    const output = this.#stages.get(stage);
    if (output) output.finished = true;
    for (let current = this.#current(); current?.finished; current = this.#current()) {
      await current.open(this.#sink);
      this.#position++;
      const next = this.#order[this.#position];
      if (next === undefined) return;
      this.#onLive(next);
      await this.#current()?.open(this.#sink);
    }
  }

  /** After a failure: what the stages had said and nobody saw yet. */
  async flush(): Promise<void> {
    for (const stage of this.#order.slice(this.#position)) await this.#stages.get(stage)?.open(this.#sink);
  }

  #current(): StageOutput | undefined {
    const stage = this.#order[this.#position];
    return stage === undefined ? undefined : this.#stages.get(stage);
  }
}

class StageOutput implements BuildOutput {
  readonly #limit: number;
  readonly #signal: AbortSignal;
  #sink: BuildOutput | undefined;
  #buffer: Item[] = [];
  #characters = 0;
  #room: (() => void)[] = [];
  #draining: Promise<void> | undefined;
  finished = false;

  constructor(limit: number, signal: AbortSignal) {
    this.#limit = limit;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#release(), { once: true });
  }

  text(text: string): Promise<void> {
    return this.#put({ text }, text.length);
  }

  progress(progress: imageV1.Progress): Promise<void> {
    return this.#put({ progress }, 64);
  }

  open(sink: BuildOutput): Promise<void> {
    this.#draining ??= this.#drain(sink);
    return this.#draining;
  }

  async #put(item: Item, size: number): Promise<void> {
    while (!this.#sink && this.#characters >= this.#limit) {
      this.#signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    if (this.#sink) {
      await write(this.#sink, item);
      return;
    }
    this.#buffer.push(item);
    this.#characters += size;
  }

  async #drain(sink: BuildOutput): Promise<void> {
    while (this.#buffer.length > 0) {
      const items = this.#buffer;
      this.#buffer = [];
      for (const item of items) await write(sink, item);
    }
    this.#sink = sink;
    this.#release();
  }

  #release(): void {
    for (const go of this.#room.splice(0)) go();
  }
}

function write(sink: BuildOutput, item: Item): Promise<void> {
  return 'text' in item ? sink.text(item.text) : sink.progress(item.progress);
}
