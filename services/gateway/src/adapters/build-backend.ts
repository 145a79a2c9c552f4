import type { buildV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import type { BuildBackend } from '../resources/build/backend.ts';
import { pieces } from './pieces.ts';

const PRUNE_TIMEOUT_MS = 600_000;

/** Builds by the image-builder. */
export class BuilderBackend implements BuildBackend {
  readonly #client: Client<buildV1.BuildServiceService>;

  constructor(client: Client<buildV1.BuildServiceService>) {
    this.#client = client;
  }

  build(
    options: buildV1.BuildOptions,
    contextTar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): AsyncIterable<buildV1.BuildResponse> {
    return this.#client.build(buildRequests(options, contextTar), { signal });
  }

  async pruneBuildCache(
    signal: AbortSignal,
  ): Promise<{ readonly removed: readonly string[]; readonly reclaimed: number }> {
    const { removed, reclaimed } = await this.#client.pruneBuildCache({}, { signal, timeoutMs: PRUNE_TIMEOUT_MS });
    return { removed, reclaimed: Number(reclaimed) };
  }
}

async function* buildRequests(
  options: buildV1.BuildOptions,
  contextTar: AsyncIterable<Buffer>,
): AsyncGenerator<buildV1.BuildRequest> {
  yield { message: { $case: 'options', value: options } };
  for await (const value of pieces(contextTar)) yield { message: { $case: 'context', value } };
}
