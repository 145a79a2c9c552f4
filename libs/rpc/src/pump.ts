/** The part of a grpc-js writable side that matters for backpressure. */
export interface Sink<T> {
  write(message: T): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/**
 * Writes all of `source`, waiting for `drain` whenever the sink is full. Ends early, closing the source, when the signal aborts.
 * Rejects with what the source throws.
 */
export async function pump<T>(source: AsyncIterable<T>, sink: Sink<T>, signal: AbortSignal): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  // One listener for the whole stream: racing each step against one long-lived promise would keep every step in memory.
  let interrupt = (): void => undefined;
  const onAbort = (): void => interrupt();
  signal.addEventListener('abort', onAbort, { once: true });
  const unlessAborted = <R>(step: Promise<R>): Promise<R | undefined> =>
    new Promise((resolve, reject) => {
      interrupt = () => resolve(undefined);
      step.then(resolve, reject);
    });
  try {
    while (!signal.aborted) {
      const next = await unlessAborted(iterator.next());
      if (!next || next.done) return;
      if (!sink.write(next.value)) await unlessAborted(drained(sink));
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Not awaited: a source that is stuck in its own wait must not hold the call open.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

function drained<T>(sink: Sink<T>): Promise<void> {
  return new Promise((resolve) => {
    sink.once('drain', resolve);
  });
}
