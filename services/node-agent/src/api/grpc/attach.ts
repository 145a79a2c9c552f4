import { conflict, invalidArgument, notFound } from '@atoll/errors';
import { containerV1, runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { Container } from '../../containers/container.ts';
import type { ContainerManager } from '../../containers/container-manager.ts';
import { deferred } from '../../processes/deferred.ts';
import { attachShim } from '../../runtime/attach-shim.ts';
import { readLog } from '../../runtime/logs/read-log.ts';
import type { OutputChunk, ProcessSession } from '../../runtime/process-session.ts';

const S = containerV1.ContainerState;

/** RuntimeService.Attach: the streams of a container's first process, also before it is started. */
export async function* attach(
  containers: ContainerManager,
  requests: AsyncIterable<runtimeV1.AttachRequest>,
  context: CallContext,
): AsyncIterable<runtimeV1.AttachResponse> {
  const input = requests[Symbol.asyncIterator]();
  const first = await input.next();
  const message = first.done ? undefined : first.value.message;
  if (message?.$case !== 'start') throw invalidArgument('the first message of an attach must be its start');
  const start = message.value;
  const container = containers.get(start.containerId);
  requireAttachable(container);
  const tty = container.record.spec?.process?.tty ?? false;
  const ended = new AbortController();
  const attachment = start.stream
    ? new Attachment(container, start, AbortSignal.any([context.signal, ended.signal]))
    : undefined;
  try {
    await attachment?.registered;
    yield { message: { $case: 'ready', value: { tty } } };
    if (start.logs) yield* pastOutput(container, start, context.signal);
    if (!attachment) return;
    // The input has a life of its own: a client may send nothing, or end its input and go on reading.
    const feeding = feed(input, attachment, context.signal);
    feeding.catch(() => undefined);
    const session = await attachment.session;
    for await (const chunk of session.output()) yield outputOf(chunk);
  } finally {
    ended.abort(new DOMException('the attach is over', 'AbortError'));
    attachment?.close();
  }
}

export function outputOf(chunk: OutputChunk): {
  readonly message: { readonly $case: 'output'; readonly value: runtimeV1.Output };
} {
  const stream = chunk.stream === 'stdout' ? runtimeV1.StdStream.STDOUT : runtimeV1.StdStream.STDERR;
  return { message: { $case: 'output', value: { stream, data: chunk.data } } };
}

function requireAttachable({ id, status }: Container): void {
  if (status.state === S.PAUSED) throw conflict('container is paused, unpause the container before attach');
  if (status.state === S.RESTARTING) {
    throw conflict(`container ${id} is restarting, wait until the container is running`);
  }
}

/** Joins the process's streams now, or when it is prepared for its next start. */
class Attachment {
  readonly session: Promise<ProcessSession>;
  /** Nothing of the output is missed from here on. */
  readonly registered: Promise<void>;
  #withdraw: (() => void) | undefined;
  #session: ProcessSession | undefined;

  constructor(container: Container, start: runtimeV1.AttachStart, signal: AbortSignal) {
    const { promise, resolve, reject } = deferred<ProcessSession>();
    this.session = promise;
    const forget = container.book.listen(({ state }) => {
      if (state === S.REMOVED) reject(notFound(`No such container: ${container.id}`));
    });
    const abort = (): void => {
      forget();
      reject(signal.reason);
      // Ends the output, so that whoever iterates it comes to an end.
      this.close();
    };
    signal.addEventListener('abort', abort, { once: true });
    this.registered = container
      .whenPrepared(async (bundle) => {
        const { stdin, stdout, stderr } = start;
        try {
          this.#session = await attachShim(bundle, { stdin, stdout, stderr }, signal);
          resolve(this.#session);
        } catch (error) {
          reject(error);
          throw error;
        }
      })
      .then((withdraw) => {
        this.#withdraw = withdraw;
      });
  }

  close(): void {
    this.#withdraw?.();
    this.#session?.close();
  }
}

async function feed(
  input: AsyncIterator<runtimeV1.AttachRequest>,
  attachment: Attachment,
  signal: AbortSignal,
): Promise<void> {
  const session = await attachment.session;
  while (!signal.aborted) {
    const next = await input.next();
    if (next.done) return;
    const { message } = next.value;
    if (message?.$case === 'stdin') await session.writeStdin(message.value);
    else if (message?.$case === 'stdinEof') await session.endStdin();
    else if (message?.$case === 'resize') {
      await session.resize({ rows: message.value.height, cols: message.value.width });
    }
  }
}

async function* pastOutput(
  container: Container,
  start: runtimeV1.AttachStart,
  signal: AbortSignal,
): AsyncIterable<runtimeV1.AttachResponse> {
  const { stdout, stderr } = start;
  for await (const records of readLog(container.logDirectory, { stdout, stderr, follow: false, signal }))
    for (const { stream, data } of records) yield outputOf({ stream, data });
}
