import { containerV1 } from '@atoll/proto';
import { expect, test } from 'vitest';
import { eventsBetween } from './status-events.ts';

const { ContainerState: S } = containerV1;
const SECOND = 1_000_000_000n;
const status = (state: containerV1.ContainerState, started = 0n, finished = 0n, exitCode = 0) =>
  containerV1.ContainerStatus.fromPartial({
    state,
    startedAtNs: started * SECOND,
    finishedAtNs: finished * SECOND,
    exitCode,
  });

test.each([
  ['made', undefined, status(S.CREATED), []],
  ['started', status(S.CREATED), status(S.RUNNING, 1n), ['start']],
  ['ended', status(S.RUNNING, 1n), status(S.EXITED, 1n, 4n, 3), ['die 3 3s']],
  [
    'killed for its memory',
    status(S.RUNNING, 1n),
    { ...status(S.EXITED, 1n, 2n, 137), oomKilled: true },
    ['oom', 'die 137 1s'],
  ],
  ['started and ended unseen', status(S.CREATED), status(S.EXITED, 1n, 2n, 1), ['start', 'die 1 1s']],
  ['first seen when it had ended', undefined, status(S.EXITED, 1n, 2n, 1), ['start', 'die 1 1s']],
  ['ended, to be restarted', status(S.RUNNING, 1n), status(S.RESTARTING, 1n, 2n, 1), ['die 1 1s']],
  ['restarted', status(S.RESTARTING, 1n, 2n, 1), status(S.RUNNING, 3n, 2n), ['start']],
  ['ended and restarted unseen', status(S.RUNNING, 1n), status(S.RUNNING, 3n, 2n), ['die 0 0s', 'start']],
  ['paused', status(S.RUNNING, 1n), status(S.PAUSED, 1n), ['pause']],
  ['unpaused', status(S.PAUSED, 1n), status(S.RUNNING, 1n), ['unpause']],
  ['nothing new', status(S.RUNNING, 1n), status(S.RUNNING, 1n), []],
  ['back from a lost host', status(S.LOST, 1n), status(S.RUNNING, 1n), []],
  ['removed', status(S.EXITED, 1n, 2n), status(S.REMOVED, 1n, 2n), []],
])('%s', (_name, previous, next, want) => {
  const events = eventsBetween(previous, next).map(({ action, attributes }) =>
    action === 'die' ? `die ${attributes['exitCode']} ${attributes['execDuration']}s` : action,
  );
  expect(events).toEqual(want);
});
