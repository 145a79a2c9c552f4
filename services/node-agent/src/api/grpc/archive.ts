import { invalidArgument } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { ContainerArchive } from '../../archive/container-archive.ts';
import type { ContainerManager } from '../../containers/container-manager.ts';

/** RuntimeService.GetArchive: what is at the path, then a tar of it. */
export async function* getArchive(
  containers: ContainerManager,
  archive: ContainerArchive,
  request: runtimeV1.GetArchiveRequest,
  context: CallContext,
): AsyncIterable<runtimeV1.GetArchiveResponse> {
  const container = containers.get(request.containerId);
  const stat = await archive.stat(container, request.path, context.signal);
  yield { message: { $case: 'stat', value: stat } };
  const read = request.withoutMounts ? 'readOwn' : 'read';
  for await (const data of archive[read](container, request.path, context.signal)) {
    yield { message: { $case: 'data', value: Buffer.from(data) } };
  }
}

/** RuntimeService.PutArchive: unpacks a tar into a folder of the container. */
export async function putArchive(
  containers: ContainerManager,
  archive: ContainerArchive,
  requests: AsyncIterable<runtimeV1.PutArchiveRequest>,
  context: CallContext,
): Promise<runtimeV1.PutArchiveResponse> {
  const input = requests[Symbol.asyncIterator]();
  const first = await input.next();
  const message = first.done ? undefined : first.value.message;
  if (message?.$case !== 'start') throw invalidArgument('the first message of an archive must be its start');
  const start = message.value;
  const container = containers.get(start.containerId);
  const options = { noOverwriteDirNonDir: start.noOverwriteDirNonDir, copyUidGid: start.copyUidGid };
  await archive.write(container, start.path, dataOf(input), options, context.signal);
  return {};
}

async function* dataOf(input: AsyncIterator<runtimeV1.PutArchiveRequest>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await input.next();
    if (next.done) return;
    if (next.value.message?.$case === 'data') yield next.value.message.value;
  }
}
