import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded } from '@atoll/errors';

export interface WaitOptions {
  /** For the message: what is waited for. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly intervalMs?: number;
}

/** Asks again and again until the answer is true. Errors: deadline-exceeded naming `what`. */
export async function waitUntil(check: () => Promise<boolean> | boolean, options: WaitOptions): Promise<void> {
  const end = performance.now() + options.timeoutMs;
  while (!(await check())) {
    options.signal?.throwIfAborted();
    if (performance.now() > end) throw deadlineExceeded(`waited ${options.timeoutMs} ms in vain for ${options.what}`);
    await sleep(options.intervalMs ?? 5, undefined, options.signal ? { signal: options.signal } : {});
  }
}
