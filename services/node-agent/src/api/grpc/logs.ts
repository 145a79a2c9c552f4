import { unimplemented } from '@atoll/errors';
import { runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { ContainerManager } from '../../containers/container-manager.ts';
import type { LogRecord } from '../../runtime/logs/log-record.ts';
import { readLog } from '../../runtime/logs/read-log.ts';

const MAX_JOINED_BYTES = 64 * 1024;

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
  for await (const records of lines) {
    for (const { stream, time, data } of request.timestamps ? records : joined(records)) {
      yield {
        stream: stream === 'stdout' ? runtimeV1.StdStream.STDOUT : runtimeV1.StdStream.STDERR,
        timeNs: time,
        data,
      };
    }
  }
}

/** Neighbours of one stream as one, with the time of the last: so a reader that is cut off goes on behind all of it. */
function joined(records: readonly LogRecord[]): LogRecord[] {
  const runs: { readonly stream: LogRecord['stream']; time: bigint; readonly pieces: Buffer[]; bytes: number }[] = [];
  for (const { stream, time, data } of records) {
    const run = runs.at(-1);
    if (run?.stream === stream && run.bytes + data.length <= MAX_JOINED_BYTES) {
      run.pieces.push(data);
      run.bytes += data.length;
      run.time = time;
    } else runs.push({ stream, time, pieces: [data], bytes: data.length });
  }
  return runs.map(({ stream, time, pieces }) => ({ stream, time, data: Buffer.concat(pieces) }));
}
