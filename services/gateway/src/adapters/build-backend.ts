import type { buildV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import type { BuildBackend } from '../resources/build/backend.ts';
import { pieces } from './pieces.ts';

const PRUNE_TIMEOUT_MS = 600_000;

/** Builds by the image-builder. */
export class BuilderBackend implements BuildBackend {
  readonly #client: Client<buildV1.BuildServiceService>;
  readonly #onNamed: () => void;

  /** @param onNamed called when names of images may mean others than before */
  constructor(client: Client<buildV1.BuildServiceService>, onNamed: () => void) {
    this.#client = client;
    this.#onNamed = onNamed;
  }

  async *build(
    options: buildV1.BuildOptions,
    contextTar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): AsyncGenerator<buildV1.BuildResponse> {
    try {
      yield* this.#client.build(buildRequests(options, contextTar), { signal });
    } finally {
      this.#onNamed();
    }
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
