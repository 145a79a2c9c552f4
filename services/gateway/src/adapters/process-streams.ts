import { internal } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import type { AttachedProcess, OutputChunk, TerminalInput } from '../hijack/terminal-io.ts';

type InputMessage = { $case: 'stdin'; value: Buffer } | { $case: 'stdinEof'; value: boolean };

/** A call's request stream: how it starts, then what the client types. */
export async function* inputRequests<S>(
  start: S,
  input: AsyncIterable<TerminalInput>,
): AsyncGenerator<{ message: S | InputMessage }> {
  yield { message: start };
  for await (const item of input) {
    yield {
      message: item.kind === 'data' ? { $case: 'stdin', value: item.data } : { $case: 'stdinEof', value: true },
    };
  }
}

export function outputChunk(output: runtimeV1.Output): OutputChunk {
  return { stream: output.stream === runtimeV1.StdStream.STDERR ? 'stderr' : 'stdout', data: output.data };
}

interface Answer {
  readonly message?: { readonly $case: string; readonly value: unknown } | undefined;
}

/**
 * The first answer says that the process is attached, the rest is its output.
 * @param ready the case the first answer must have
 */
export async function attached<A extends Answer>(
  answers: AsyncIterable<A>,
  ready: string,
  ttyOf: (first: A) => boolean,
): Promise<AttachedProcess> {
  const iterator = answers[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value.message?.$case !== ready) {
    throw internal(`the node began an attachment with ${first.value?.message?.$case ?? 'its end'} instead of ${ready}`);
  }
  return { tty: ttyOf(first.value), output: outputOf(iterator) };
}

async function* outputOf<A extends Answer>(iterator: AsyncIterator<A>): AsyncGenerator<OutputChunk> {
  try {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      if (next.value.message?.$case === 'output') yield outputChunk(next.value.message.value as runtimeV1.Output);
    }
  } finally {
    await iterator.return?.();
  }
}
