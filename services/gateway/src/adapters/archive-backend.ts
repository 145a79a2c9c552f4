import { internal } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { ContainerArchive } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import type { Agents } from './agents.ts';
import { pieces } from './pieces.ts';

type PutOptions = Parameters<ContainerArchive['putArchive']>[1];

/** Files in and out of a container, as tar streams from and to its agent. */
export class ArchiveBackend implements ContainerArchive {
  readonly #agents: Agents;

  constructor(agents: Agents) {
    this.#agents = agents;
  }

  async statPath(view: ContainerView, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat> {
    const { stat } = await this.#agents.of(view).statArchive({ containerId: view.record.id, path }, { signal });
    if (stat === undefined) throw internal('the node answered without a file stat');
    return stat;
  }

  getArchive(
    view: ContainerView,
    path: string,
    signal: AbortSignal,
  ): Promise<{ readonly stat: runtimeV1.PathStat; readonly tar: AsyncIterable<Buffer> }> {
    return this.#read(view, { path, withoutMounts: false }, signal);
  }

  async exportRoot(view: ContainerView, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    return (await this.#read(view, { path: '/.', withoutMounts: true }, signal)).tar;
  }

  async #read(
    view: ContainerView,
    what: { readonly path: string; readonly withoutMounts: boolean },
    signal: AbortSignal,
  ): Promise<{ readonly stat: runtimeV1.PathStat; readonly tar: AsyncIterable<Buffer> }> {
    const request = { containerId: view.record.id, ...what };
    const answers = this.#agents.of(view).getArchive(request, { signal })[Symbol.asyncIterator]();
    const first = await answers.next();
    if (first.done === true || first.value.message?.$case !== 'stat') throw internal('the node sent no file stat');
    return { stat: first.value.message.value, tar: tarOf(answers) };
  }

  async putArchive(
    view: ContainerView,
    options: PutOptions,
    tar: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<void> {
    const start = { containerId: view.record.id, ...options };
    await this.#agents.of(view).putArchive(putRequests(start, tar), { signal });
  }
}

async function* tarOf(answers: AsyncIterator<runtimeV1.GetArchiveResponse>): AsyncGenerator<Buffer> {
  for (let next = await answers.next(); next.done !== true; next = await answers.next()) {
    if (next.value.message?.$case === 'data') yield next.value.message.value;
  }
}

async function* putRequests(
  start: runtimeV1.PutArchiveStart,
  tar: AsyncIterable<Buffer>,
): AsyncGenerator<runtimeV1.PutArchiveRequest> {
  yield { message: { $case: 'start', value: start } };
  for await (const value of pieces(tar)) yield { message: { $case: 'data', value } };
}
