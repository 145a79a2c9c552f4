import { unavailable } from '@atoll/errors';
import type { FeedItem, FeedSource } from '../feed-source.ts';
import { findBucket, keyOf, OPERATION_HEADER, streamOf } from './bucket.ts';
import type { Bus } from './connection.ts';
import { readStream } from './stream-reader.ts';

/** Reads a JetStream bucket in the order of its writes. */
export class BucketSource implements FeedSource {
  readonly #bus: Bus;
  readonly #bucket: string;

  constructor(bus: Bus, bucket: string) {
    this.#bus = bus;
    this.#bucket = bucket;
  }

  async *open(after: bigint, signal: AbortSignal): AsyncGenerator<FeedItem> {
    const info = await findBucket(this.#bus, this.#bucket);
    if (!info) throw unavailable(`the state bucket ${this.#bucket} is missing`);
    yield { kind: 'opened', incarnation: info.created, last: BigInt(info.state.last_seq) };
    const from = { kind: 'after', sequence: Number(after) } as const;
    for await (const item of readStream(this.#bus, streamOf(this.#bucket), from, signal)) {
      if (item.kind === 'live') {
        yield { kind: 'live' };
        continue;
      }
      const { message, sequence } = item;
      const key = keyOf(this.#bucket, message.subject);
      const revision = BigInt(sequence);
      // A deletion has no value: of what has one the headers need not be read.
      const operation = message.data.length > 0 ? '' : (message.headers?.get(OPERATION_HEADER) ?? '');
      if (operation === '') yield { kind: 'put', key, value: message.data, revision };
      else yield { kind: 'delete', key, revision };
    }
  }
}
