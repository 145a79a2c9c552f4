import { deadlineExceeded } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';

/** The bytes a peer answers with; knows how many there were, and what has cut them off. */
export class PeerArchive implements AsyncIterable<Uint8Array> {
  readonly #answers: AsyncIterable<volumeV1.PullVolumeResponse>;
  readonly #address: string;
  readonly #stallMs: number;
  size = 0;
  /** Undefined unless they were cut off. */
  error: unknown;

  /** `stallMs`: a peer that sends nothing for so long has failed, with deadline-exceeded. */
  constructor(answers: AsyncIterable<volumeV1.PullVolumeResponse>, address: string, stallMs: number) {
    this.#answers = answers;
    this.#address = address;
    this.#stallMs = stallMs;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const iterator = this.#answers[Symbol.asyncIterator]();
    try {
      for (let next = await this.#within(iterator.next()); !next.done; next = await this.#within(iterator.next())) {
        this.size += next.value.data.length;
        yield next.value.data;
      }
    } catch (error) {
      this.error = error;
      throw error;
    } finally {
      await iterator.return?.();
    }
  }

  #within<T>(answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(deadlineExceeded(`the host at ${this.#address} sent nothing for ${this.#stallMs / 1000} s`)),
        this.#stallMs,
      );
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }
}
