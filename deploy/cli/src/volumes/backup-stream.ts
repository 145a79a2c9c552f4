import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasReason, unavailable } from '@atoll/errors';

/** Pauses before a backup that was cut is asked for again. */
export const BACKUP_RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
/** The manifest tells its time in its first bytes. */
const HEAD_BYTES = 2_048;

/** The begin of an archive that somebody has. */
export interface KnownBegin {
  readonly created: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface BackupStreamOptions {
  /** Asks for the archive, or for what follows its known begin. Errors: out-of-range when it does not begin so any more. */
  readonly open: (known: KnownBegin | undefined) => Promise<AsyncIterable<Buffer>>;
  /** False: what was cut has failed. */
  readonly goesOn: boolean;
  /** Takes back what was given so far; undefined when that cannot be done. */
  readonly restart: (() => Promise<void>) | undefined;
  readonly say: (text: string) => void;
  readonly retryMs?: readonly number[];
  readonly signal: AbortSignal;
}

/**
 * A backup's bytes. What is cut in its middle is asked for again, beginning after what is there, when the cluster proves by its
 * digest that the archive begins with it still: then all of it is of the moment of the last try. Else it begins anew, once.
 */
export async function* backupStream(options: BackupStreamOptions): AsyncGenerator<Buffer> {
  const { open, goesOn, restart, say, retryMs = BACKUP_RETRY_MS, signal } = options;
  let taken = new Taken();
  let restarted = false;
  for (let tries = 0; ; tries++) {
    let failed: unknown;
    try {
      const known = taken.known();
      if (known !== undefined) say(`going on behind ${known.bytes} bytes`);
      for await (const chunk of cutAs(await open(known))) {
        taken.add(chunk);
        yield chunk;
      }
      return;
    } catch (error) {
      failed = error;
    }
    signal.throwIfAborted();
    const changed = hasReason(failed, 'out-of-range');
    if (changed && restart && !restarted) {
      say('the volume has changed meanwhile: the backup begins anew');
      await restart();
      taken = new Taken();
      restarted = true;
      continue;
    }
    const pause = retryMs[tries];
    const cut = hasReason(failed, 'unavailable');
    if (!goesOn || !cut || taken.known() === undefined || pause === undefined) throw failed;
    say(`${(failed as Error).message}: trying again`);
    await sleep(pause, undefined, { signal });
  }
}

/** What of an archive was given. */
class Taken {
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #head = '';

  add(chunk: Buffer): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
    if (this.#head.length < HEAD_BYTES) this.#head += chunk.toString('latin1', 0, HEAD_BYTES - this.#head.length);
  }

  /** Undefined as long as it does not say of which time it is. */
  known(): KnownBegin | undefined {
    const created = /"created":"([^"]+)"/.exec(this.#head)?.[1];
    return created === undefined ? undefined : { created, bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') };
  }
}

/** Errors of a body that ends early are `unavailable`. */
async function* cutAs(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (cause) {
    throw unavailable(`the connection was cut: ${(cause as Error).message}`, { cause });
  }
}
