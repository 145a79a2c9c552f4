import { unimplemented } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { ContainerManager } from '../../containers/container-manager.ts';
import { readLog } from '../../runtime/logs/read-log.ts';

/** RuntimeService.Logs: what a container has written, and with `follow` what it writes until it ends. */
export async function* logs(
  containers: ContainerManager,
  request: runtimeV1.LogsRequest,
  context: CallContext,
): AsyncIterable<runtimeV1.LogsResponse> {
  const container = containers.get(request.containerId);
  if (container.record.spec?.log?.type === 'none') {
    throw unimplemented('configured logging driver does not support reading');
  }
  const lines = readLog(container.logDirectory, {
    stdout: request.stdout,
    stderr: request.stderr,
    tail: request.tail < 0n ? undefined : Number(request.tail),
    since: request.sinceNs === 0n ? undefined : request.sinceNs,
    until: request.untilNs === 0n ? undefined : request.untilNs,
    follow: request.follow,
    ended: container.ended,
    signal: context.signal,
  });
  for await (const { stream, time, data } of lines) {
    yield {
      stream: stream === 'stdout' ? runtimeV1.StdStream.STDOUT : runtimeV1.StdStream.STDERR,
      timeNs: time,
      data,
    };
  }
}
