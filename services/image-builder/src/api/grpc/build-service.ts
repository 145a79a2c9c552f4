import { type AtollError, asAtollError, invalidArgument } from '@atoll/errors';
import type { buildV1 } from '@atoll/proto';
import { type AllowTable, AsyncQueue, type CallContext, type Handlers } from '@atoll/rpc';
import type { BuildQueue } from '../../builder/build-queue.ts';
import type { Builder } from '../../builder/builder.ts';
import { QuietOutput } from '../../progress/quiet-output.ts';
import { ResponseOutput } from '../../progress/response-output.ts';

type Definition = typeof buildV1.BuildServiceService;

export const BUILD_SERVICE_ROLES: AllowTable<Definition> = {
  build: ['gateway', 'operator'],
  pruneBuildCache: ['gateway', 'operator'],
};

export interface BuildServiceOptions {
  readonly builder: Pick<Builder, 'build'>;
  readonly queue: BuildQueue;
  readonly pruneCache: () => Promise<void>;
  /** Milliseconds one build may take. */
  readonly timeoutMs: number;
}

const QUEUED_MESSAGES = 32;
const QUIET_CHARACTERS = 1 << 20;

/**
 * BuildService. What fails before anything was sent is the call's error, so that the gateway can still answer with a status; what
 * fails later is the stream's last message, as Docker does it. A quiet build sends its image id only, a failed one all its text.
 */
export class BuildService {
  readonly #options: BuildServiceOptions;

  constructor(options: BuildServiceOptions) {
    this.#options = options;
  }

  readonly handlers: Handlers<Definition> = {
    build: (requests, context) => this.#build(requests, context),
    pruneBuildCache: async () => {
      await this.#options.pruneCache();
      // What was forgotten are names of steps; the layers' bytes are the registry's to collect.
      return { removed: [], reclaimed: 0n };
    },
  };

  async *#build(
    requests: AsyncIterable<buildV1.BuildRequest>,
    context: CallContext,
  ): AsyncGenerator<buildV1.BuildResponse> {
    const abort = new AbortController();
    const signal = AbortSignal.any([context.signal, abort.signal, AbortSignal.timeout(this.#options.timeoutMs)]);
    const responses = new AsyncQueue<buildV1.BuildResponse>(QUEUED_MESSAGES);
    const run = this.#run(requests, responses, signal).then(
      () => responses.end(),
      (error: unknown) => responses.end(error),
    );
    try {
      yield* responses;
    } finally {
      // Reached early when the client went away: the build must come to rest before the call counts as over.
      abort.abort();
      await run;
    }
  }

  async #run(
    requests: AsyncIterable<buildV1.BuildRequest>,
    responses: AsyncQueue<buildV1.BuildResponse>,
    signal: AbortSignal,
  ): Promise<void> {
    const iterator = requests[Symbol.asyncIterator]();
    const first = await iterator.next();
    const options = first.done || first.value.message?.$case !== 'options' ? undefined : first.value.message.value;
    if (!options) throw invalidArgument('the first message of a build must carry its options');
    using _turn = await this.#options.queue.enter(signal);
    const visible = new ResponseOutput(responses, signal);
    const quiet = options.quiet ? new QuietOutput(QUIET_CHARACTERS) : undefined;
    try {
      const id = await this.#options.builder.build(options, contextOf(iterator), quiet ?? visible, signal);
      await responses.pushWait({ message: { $case: 'imageId', value: id } }, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      if (quiet && quiet.kept !== '') await visible.text(quiet.kept);
      if (!visible.started) throw error;
      await responses.pushWait({ message: { $case: 'failure', value: failureOf(asAtollError(error)) } }, signal);
    }
  }
}

async function* contextOf(iterator: AsyncIterator<buildV1.BuildRequest>): AsyncGenerator<Buffer> {
  for (;;) {
    const { value, done } = await iterator.next();
    if (done) return;
    if (value.message?.$case !== 'context') throw invalidArgument('only context may follow the options of a build');
    yield value.message.value;
  }
}

function failureOf(error: AtollError): buildV1.BuildFailure {
  return {
    message: error.message,
    code: Number(error.details['code'] ?? '1'),
    line: Number(error.details['line'] ?? '0'),
  };
}
