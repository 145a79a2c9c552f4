import { createClient, RESP_TYPES } from 'redis';
import type { Cache } from './cache.ts';

export interface RedisCacheOptions {
  /** `redis://[user:password@]host:port[/db]`, `rediss://…` or `unix:///path/to/socket`. */
  readonly url: string;
  /** Put before every key, so that several users can share one server. */
  readonly prefix: string;
  /** Longest wait for an answer, milliseconds; beyond it the cache counts as empty. */
  readonly timeoutMs?: number;
  /** How long it is not asked again after it failed, milliseconds. */
  readonly pauseMs?: number;
  /** Largest value stored, bytes. */
  readonly maxValueBytes?: number;
  /** Told once for each time the cache stops answering. */
  readonly onDown?: (error: Error) => void;
}

const RETRY_MAX_MS = 5_000;
const QUEUE_MAX = 1_000;

/** Redis behind the cache contract: no call waits longer than the time-out, no call fails, start-up does not wait for it. */
export class RedisCache implements Cache {
  readonly #client: ReturnType<typeof connect>;
  readonly #options: Required<Omit<RedisCacheOptions, 'onDown'>>;
  readonly #onDown: (error: Error) => void;
  #pausedUntil = 0;
  #down = false;

  constructor(options: RedisCacheOptions) {
    this.#options = { timeoutMs: 250, pauseMs: 1_000, maxValueBytes: 1024 * 1024, ...options };
    this.#onDown = options.onDown ?? (() => undefined);
    this.#client = connect(options.url);
    this.#client.on('error', (error: Error) => this.#failed(error));
    this.#client.connect().catch((error: Error) => this.#failed(error));
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const value: unknown = await this.#ask((client) => client.get(this.#options.prefix + key));
    return value instanceof Uint8Array ? value : undefined;
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    if (value.byteLength > this.#options.maxValueBytes) return this.delete(key);
    const PX = Math.max(1, Math.round(ttlMs));
    await this.#ask((client) => client.set(this.#options.prefix + key, Buffer.from(value), { PX }));
  }

  async delete(key: string): Promise<void> {
    await this.#ask((client) => client.del(this.#options.prefix + key));
  }

  async close(): Promise<void> {
    this.#pausedUntil = Number.POSITIVE_INFINITY;
    this.#client.destroy();
  }

  async #ask<T>(command: (client: ReturnType<typeof connect>) => Promise<T>): Promise<T | undefined> {
    if (!this.#client.isReady || performance.now() < this.#pausedUntil) return undefined;
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error('Redis did not answer in time')), this.#options.timeoutMs);
      });
      const answer = await Promise.race([command(this.#client), late]);
      this.#down = false;
      return answer;
    } catch (error) {
      this.#failed(error as Error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #failed(error: Error): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, performance.now() + this.#options.pauseMs);
    if (!this.#down) this.#onDown(error);
    this.#down = true;
  }
}

function connect(url: string) {
  const unix = url.startsWith('unix://') ? url.slice('unix://'.length) : undefined;
  const retry = { reconnectStrategy: (tries: number) => Math.min(50 * 2 ** Math.min(tries, 10), RETRY_MAX_MS) };
  return createClient({
    ...(unix === undefined ? { url, socket: retry } : { socket: { path: unix, ...retry } }),
    disableOfflineQueue: true,
    commandsQueueMaxLength: QUEUE_MAX,
  }).withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
}
