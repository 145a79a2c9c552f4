import { imageV1 } from '@atoll/proto';
import { AsyncQueue } from '@atoll/rpc';
import type { Progress, Report } from '../../domain/progress.ts';

const WAITING_LINES = 256;

/**
 * Work that reports lines, as a stream of them: the work waits while the reader is slow, stops when the call ends, and its
 * error ends the stream.
 */
export async function* progressStream(
  call: AbortSignal,
  work: (report: Report, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<{ progress: imageV1.Progress }> {
  const queue = new AsyncQueue<Progress>(WAITING_LINES);
  const stop = new AbortController();
  const signal = AbortSignal.any([call, stop.signal]);
  const report: Report = async (line) => {
    await queue.pushWait(line, signal);
  };
  const done = work(report, signal).then(
    () => queue.end(),
    (error: unknown) => queue.end(error),
  );
  try {
    for await (const line of queue) yield { progress: toProgress(line) };
  } finally {
    stop.abort();
    await done;
  }
}

function toProgress(line: Progress): imageV1.Progress {
  return imageV1.Progress.fromPartial({
    status: line.status ?? '',
    id: line.id ?? '',
    current: BigInt(line.current ?? 0),
    total: BigInt(line.total ?? 0),
    stream: line.stream ?? '',
    auxJson: line.aux === undefined ? '' : JSON.stringify(line.aux),
  });
}
