import { internal } from '@atoll/errors';
import type { buildV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import type { BuildHost } from '../steps/build-host.ts';

const CHUNK = 256 * 1024;
/** Digesting or making a directory may have to fetch the layers first. */
const SHORT_STEP_MS = 10 * 60 * 1000;

/** One host through its agent's BuildStepService. Cancelling the signal cancels the call, and the agent undoes the step. */
export class AgentHost implements BuildHost {
  readonly id: string;
  readonly name: string;
  readonly #steps: Client<typeof buildV1.BuildStepServiceService>;

  constructor(id: string, name: string, steps: Client<typeof buildV1.BuildStepServiceService>) {
    this.id = id;
    this.name = name;
    this.#steps = steps;
  }

  async run(
    request: buildV1.RunStepRequest,
    onOutput: (output: buildV1.StepOutput) => Promise<void>,
    signal: AbortSignal,
  ): Promise<buildV1.StepResult> {
    let result: buildV1.StepResult | undefined;
    for await (const { message } of this.#steps.runStep(request, { signal })) {
      if (message?.$case === 'output') await onOutput(message.value);
      if (message?.$case === 'result') result = message.value;
    }
    if (!result) throw internal(`host ${this.name} ended a step without a result`);
    return result;
  }

  async copy(
    start: buildV1.CopyStepStart,
    data: AsyncIterable<Buffer> | undefined,
    signal: AbortSignal,
  ): Promise<buildV1.StepResult> {
    const { result } = await this.#steps.copyStep(copyMessages(start, data), { signal });
    return this.#checked(result);
  }

  async makeDirectory(request: buildV1.MakeDirectoryRequest, signal: AbortSignal): Promise<buildV1.StepResult> {
    const { result } = await this.#steps.makeDirectory(request, { signal, timeoutMs: SHORT_STEP_MS });
    return this.#checked(result);
  }

  async digestPaths(request: buildV1.DigestPathsRequest, signal: AbortSignal): Promise<string> {
    return (await this.#steps.digestPaths(request, { signal, timeoutMs: SHORT_STEP_MS })).digest;
  }

  #checked(result: buildV1.StepResult | undefined): buildV1.StepResult {
    if (!result) throw internal(`host ${this.name} ended a step without a result`);
    return result;
  }
}

async function* copyMessages(
  start: buildV1.CopyStepStart,
  data: AsyncIterable<Buffer> | undefined,
): AsyncGenerator<buildV1.CopyStepRequest> {
  yield { message: { $case: 'start', value: start } };
  if (!data) return;
  for await (const chunk of data) {
    for (let at = 0; at < chunk.length; at += CHUNK) {
      yield { message: { $case: 'data', value: chunk.subarray(at, at + CHUNK) } };
    }
  }
}
