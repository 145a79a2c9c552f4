import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { conflict, hasReason, unavailable } from '@atoll/errors';

/** Pauses before a restore that was cut goes on. Whenever more of it has come, they begin anew. */
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
/** How often it begins anew because nothing is left of what has come. */
const MAX_RESTARTS = 3;
const DISCARD_MS = 2_500;

/** What a cluster does for a restore that has an id. */
export interface RestoreCalls {
  /** Sends what follows the offset, or all of it. Errors: unavailable when it is cut; not-found and out-of-range when it is not there so. */
  readonly send: (id: string, offset: number | undefined) => Promise<void>;
  /** How many bytes are there, after which no more of an earlier call are taken. Errors: not-found. */
  readonly stand: (id: string) => Promise<number | 'done'>;
  readonly discard: (id: string, signal: AbortSignal) => Promise<void>;
}

export interface RestoreOptions {
  readonly calls: RestoreCalls;
  readonly say: (text: string) => void;
  readonly retryMs?: readonly number[];
  readonly signal: AbortSignal;
}

/**
 * Restores. When that is cut it goes on behind what the host has, after a pause; when nothing is left there it begins anew, a bounded
 * number of times. What fails for another reason, or is interrupted, is given up at once, so that its name is free.
 */
export async function restoreUpload(options: RestoreOptions): Promise<void> {
  const { calls, say, signal } = options;
  for (let restarts = 0; ; restarts++) {
    const id = randomBytes(16).toString('hex');
    try {
      if (await sendAll(id, restarts > 0, options)) return;
    } catch (error) {
      await discard(calls, id);
      signal.throwIfAborted();
      throw error;
    }
    await discard(calls, id);
    if (restarts === MAX_RESTARTS)
      throw unavailable(`the restore was cut ${restarts + 1} times and its host kept nothing: see whether it runs`);
    say('nothing of it is left on its host: the restore begins anew');
  }
}

/** Sends one archive to its end, by as many calls as it takes. False when nothing of it is left where it went. */
async function sendAll(
  id: string,
  again: boolean,
  { calls, say, retryMs = RETRY_MS, signal }: RestoreOptions,
): Promise<boolean> {
  let reached = 0;
  let cut = false;
  for (let tries = 0; ; ) {
    try {
      const offset = cut ? await calls.stand(id) : undefined;
      if (offset === 'done') return true;
      if (offset !== undefined) {
        // A link that lets more of it through each time is not given up.
        if (offset > reached) tries = 0;
        reached = offset;
        say(`going on behind ${offset} bytes`);
      }
      await calls.send(id, offset);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (cut && hasReason(error, 'not-found')) return false;
      // The one before may not have gone yet.
      const inTheWay = again && !cut && hasReason(error, 'conflict');
      const wasCut: boolean = hasReason(error, 'unavailable') || (cut && hasReason(error, 'out-of-range'));
      const pause = retryMs[tries++];
      if (inTheWay && pause === undefined)
        throw conflict(`${(error as Error).message}; it may be of this restore, whose end was not heard`, {
          cause: error,
        });
      if (pause === undefined || !(wasCut || inTheWay)) throw error;
      say(`${(error as Error).message}: trying again`);
      await sleep(pause, undefined, { signal });
      cut ||= wasCut;
    }
  }
}

/** The cluster keeps it for a while else: it cannot know that nobody comes back. */
async function discard(calls: RestoreCalls, id: string): Promise<void> {
  await calls.discard(id, AbortSignal.timeout(DISCARD_MS)).catch(() => undefined);
}
