import { cancelled } from '@atoll/errors';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The result of `work`, or a cancelled error as soon as a person interrupts; the caller then cleans up. `signal` tells the work. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const end = new AbortController();
  const stop = (): void => end.abort(cancelled('interrupted'));
  const interrupted = new Promise<never>((_, reject) => {
    end.signal.addEventListener('abort', () => reject(end.signal.reason), { once: true });
  });
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await Promise.race([work(end.signal), interrupted]);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
