import type { UnpackedVolume } from '../runtime/volume-tools.ts';
import { ArchiveInput } from './archive-input.ts';

/** An archive that becomes a volume: a call brings it, or it waits for the one that brings more of it. */
export class IncomingArchive {
  readonly #input = new ArchiveInput();
  readonly #life = new AbortController();
  readonly #received: Promise<UnpackedVolume>;
  #call: { readonly life: AbortController; readonly over: Promise<unknown> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failed = false;

  /** `receive` makes the volume; it leaves nothing when it fails or is aborted. */
  constructor(receive: (archive: AsyncIterable<Uint8Array>, signal: AbortSignal) => Promise<UnpackedVolume>) {
    this.#received = receive(this.#input, this.#life.signal);
    this.#received.then(
      () => this.#input.end(),
      (error: unknown) => {
        this.#failed = true;
        // Whoever brings more need not, and nobody waits for it.
        this.#input.end(error);
      },
    );
  }

  /** Bytes that have come. */
  get bytes(): number {
    return this.#input.bytes;
  }

  get isWaiting(): boolean {
    return this.#timer !== undefined;
  }

  /** It will be no volume, whatever comes. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  /** A call brings what comes next, or all that was left. `whenCut` is what becomes of the archive when it cannot. */
  bring(source: AsyncIterable<Uint8Array>, signal: AbortSignal, whenCut: () => Promise<void>): Promise<UnpackedVolume> {
    this.#stopWaiting();
    const life = new AbortController();
    const result = this.#take(source, AbortSignal.any([signal, life.signal])).catch(async (error: unknown) => {
      await whenCut();
      throw error;
    });
    this.#call = { life, over: result.catch(() => undefined) };
    return result;
  }

  /** Cuts the call that brings it, if there is one. */
  async cut(reason: Error): Promise<void> {
    this.#call?.life.abort(reason);
    await this.#call?.over;
  }

  /** Until the next call brings more; at most for so long. */
  wait(ms: number, late: () => void): void {
    this.#timer = setTimeout(late, ms);
    this.#timer.unref();
  }

  /** Nothing is left of it afterwards, unless it is a volume already. */
  async end(reason: Error): Promise<void> {
    this.#stopWaiting();
    this.#life.abort(reason);
    this.#input.end(reason);
    await this.#received.catch(() => undefined);
  }

  async #take(source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<UnpackedVolume> {
    signal.throwIfAborted();
    let onAbort = (): void => undefined;
    // A source whose call was cut may never say so.
    const cut = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      const taken = this.#input.take(source, signal).then(() => this.#received);
      return await Promise.race([this.#received, taken, cut]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
