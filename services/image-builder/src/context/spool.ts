import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { resourceExhausted } from '@atoll/errors';

const READ_BYTES = 256 * 1024;
const WRITE_BYTES = 1 << 20;
const WINDOW_BYTES = 1 << 20;

/**
 * Bytes set aside on disk for the length of one build, read back at any offset. The file has no name once it is open, so nothing
 * is left of it however the process ends.
 */
export class Spool implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #limit: number;
  readonly #what: string;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #window: { readonly offset: number; readonly bytes: Buffer } = { offset: 0, bytes: Buffer.alloc(0) };
  size = 0;

  private constructor(file: FileHandle, limit: number, what: string) {
    this.#file = file;
    this.#limit = limit;
    this.#what = what;
  }

  /** @param limit bytes that may be written; more is resource-exhausted */
  static async create(directory: string, limit: number, what: string): Promise<Spool> {
    const path = join(directory, `.atoll-spool-${process.pid}-${randomBytes(8).toString('hex')}`);
    const file = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new Spool(file, limit, what);
  }

  async append(bytes: Buffer): Promise<void> {
    if (this.size + bytes.length > this.#limit) {
      throw resourceExhausted(`${this.#what} is larger than the ${this.#limit} bytes this builder accepts`);
    }
    this.size += bytes.length;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= WRITE_BYTES) await this.flush();
  }

  async flush(): Promise<void> {
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    if (pending.length > 0) await this.#file.writev(pending);
  }

  /** A small piece in one buffer. Neighbours are read ahead: small files of a context lie side by side. */
  async piece(offset: number, size: number): Promise<Buffer> {
    const window = this.#window;
    if (offset < window.offset || offset + size > window.offset + window.bytes.length) {
      const buffer = Buffer.allocUnsafe(Math.max(size, Math.min(WINDOW_BYTES, this.size - offset)));
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset);
      this.#window = { offset, bytes: buffer.subarray(0, bytesRead) };
    }
    const start = offset - this.#window.offset;
    return this.#window.bytes.subarray(start, start + size);
  }

  /** The bytes from `offset`; `flush` first. The chunks belong to the caller. */
  async *read(offset: number, size: number): AsyncGenerator<Buffer> {
    const end = offset + size;
    while (offset < end) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - offset));
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, offset);
      if (bytesRead === 0) return;
      offset += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pending = [];
    await this.#file.close();
  }
}
