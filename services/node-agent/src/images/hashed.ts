import { createHash } from 'node:crypto';
import { dataLoss } from '@atoll/errors';

/** Passes bytes on and knows their SHA-256 and number at the end. */
export class Hashed implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #hash = createHash('sha256');
  #size = 0;
  #digest: string | undefined;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.#hash.update(chunk);
      this.#size += chunk.length;
      yield chunk;
    }
    this.#digest = `sha256:${this.#hash.digest('hex')}`;
  }

  get size(): number {
    return this.#size;
  }

  /** Throws data-loss while the source was not read to its end. */
  get digest(): string {
    if (this.#digest === undefined) throw dataLoss('the stream was not read to its end');
    return this.#digest;
  }

  /** Throws data-loss when the bytes are not those of the digest. */
  verify(expected: string, what: string): void {
    if (this.digest !== expected) {
      throw dataLoss(`${what} has digest ${this.digest}, expected ${expected}: the stored bytes are damaged`);
    }
  }
}

/** Passes bytes on and knows their number. */
export class Counted implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  size = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.size += chunk.length;
      yield chunk;
    }
  }
}
