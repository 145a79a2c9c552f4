import { cancelled } from '@atoll/errors';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The result of `work`, or a cancelled error as soon as a person interrupts; the caller then cleans up. */
export async function untilInterrupted<T>(work: () => Promise<T>): Promise<T> {
  let stop: () => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    stop = () => reject(cancelled('interrupted'));
  });
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await Promise.race([work(), interrupted]);
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
