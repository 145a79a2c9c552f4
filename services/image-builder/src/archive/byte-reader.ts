import { invalidArgument } from '@atoll/errors';

/** Reads exact amounts from a stream of chunks. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  /** Bytes taken so far. */
  offset = 0;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Up to `limit` bytes, as they come; undefined at the end. */
  async some(limit: number): Promise<Buffer | undefined> {
    while (this.#chunk.length === 0) {
      const { value, done } = await this.#source.next();
      if (done) return undefined;
      this.#chunk = value;
    }
    const part = this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.subarray(part.length);
    this.offset += part.length;
    return part;
  }

  /** Exactly `size` bytes when the current chunk has them: saves a promise for each small entry. */
  now(size: number): Buffer | undefined {
    if (this.#chunk.length < size) return undefined;
    const part = this.#chunk.subarray(0, size);
    this.#chunk = this.#chunk.subarray(size);
    this.offset += size;
    return part;
  }

  /** Exactly `size` bytes. Throws invalid-argument when the stream ends inside them; undefined when it ends before them. */
  async exactly(size: number): Promise<Buffer | undefined> {
    const whole = this.now(size);
    if (whole) return whole;
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      const part = await this.some(missing);
      if (!part) {
        if (missing === size) return undefined;
        throw invalidArgument('the tar archive ends too early');
      }
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
