import { invalidArgument } from '@atoll/errors';
import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { ContainerManager } from '../../containers/container-manager.ts';
import type { StatusBook } from '../../containers/status-book.ts';

const S = containerV1.ContainerState;
type Status = containerV1.ContainerStatus;

/** Whether a status fulfils a condition, given that the watch began at another one. */
type Condition = (now: Status, began: Status) => boolean;

const running = ({ state }: Status): boolean => state === S.RUNNING || state === S.PAUSED || state === S.RESTARTING;
const hasEnded = ({ state }: Status): boolean => state === S.EXITED || state === S.RESTARTING || state === S.REMOVED;

/** Docker's wait conditions. */
const CONDITIONS: Readonly<Record<string, Condition>> = {
  'not-running': (now) => !running(now),
  'next-exit': (now, began) => now.seq !== began.seq && hasEnded(now) && now.finishedAtNs !== began.finishedAtNs,
  removed: (now) => now.state === S.REMOVED,
};

/** RuntimeService.Wait: first that the condition is watched, then how it came true. */
export async function* wait(
  containers: ContainerManager,
  request: runtimeV1.WaitRequest,
  context: CallContext,
): AsyncIterable<runtimeV1.WaitResponse> {
  const { book } = containers.get(request.containerId);
  const condition = CONDITIONS[request.condition || 'not-running'];
  if (!condition) throw invalidArgument(`invalid condition: "${request.condition}"`);
  const end = until(book, condition, context.signal);
  end.catch(() => undefined);
  yield { waiting: true, exitCode: 0, error: '', status: undefined };
  const status = await end;
  yield { waiting: false, exitCode: status.exitCode, error: status.error, status };
}

function until(book: StatusBook, condition: Condition, signal: AbortSignal): Promise<Status> {
  return new Promise((resolve, reject) => {
    const began = book.status;
    if (condition(began, began)) return resolve(began);
    const done = (): void => {
      forget();
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      done();
      reject(signal.reason);
    };
    const forget = book.listen((now) => {
      // A container that is gone will not do anything any more.
      if (!condition(now, began) && now.state !== S.REMOVED) return;
      done();
      resolve(now);
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}
