import type { Duplex } from 'node:stream';

/** Bytes sent through a transforming stream, with backpressure; a failure of either side is the iteration's. */
export async function* through(source: AsyncIterable<Uint8Array>, transform: Duplex): AsyncGenerator<Uint8Array> {
  const feeding = feed(source, transform);
  feeding.catch(() => undefined);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
    await feeding;
  } finally {
    transform.destroy();
  }
}

/** Writes all of a source and ends the sink. A sink that is closed early takes no more. */
export async function feed(source: AsyncIterable<Uint8Array>, sink: Duplex): Promise<void> {
  try {
    for await (const chunk of source) {
      if (sink.destroyed) return;
      if (!sink.write(chunk)) await drained(sink);
    }
    sink.end();
  } catch (error) {
    sink.destroy(error as Error);
    throw error;
  }
}

function drained(sink: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      sink.off('drain', go);
      sink.off('close', go);
      resolve();
    };
    sink.on('drain', go);
    sink.on('close', go);
  });
}
