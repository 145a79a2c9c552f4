import { conflict } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';

const S = containerV1.ContainerState;
type State = containerV1.ContainerState;

/** Which state may follow which. What is not here is a mistake of ours and is refused. */
export const STATE_TRANSITIONS: Readonly<Record<number, readonly State[]>> = {
  [S.UNSPECIFIED]: [S.CREATING],
  [S.CREATING]: [S.CREATED, S.RUNNING, S.REMOVING],
  [S.CREATED]: [S.RUNNING, S.REMOVING],
  [S.RUNNING]: [S.PAUSED, S.RESTARTING, S.EXITED],
  [S.PAUSED]: [S.RUNNING, S.RESTARTING, S.EXITED],
  [S.RESTARTING]: [S.RUNNING, S.RESTARTING, S.EXITED, S.REMOVING],
  [S.EXITED]: [S.RUNNING, S.RESTARTING, S.REMOVING],
  [S.DEAD]: [S.REMOVING],
  [S.REMOVING]: [S.REMOVED, S.DEAD],
  [S.REMOVED]: [],
};

const NAMES = new Map<number, string>(Object.entries(S).map(([name, value]) => [value, name.toLowerCase()]));

export function stateName(state: State): string {
  return NAMES.get(state) ?? `state ${state}`;
}

/** Throws conflict when the table has no such step. Staying is no step. */
export function checkTransition(id: string, from: State, to: State): void {
  if (from === to || STATE_TRANSITIONS[from]?.includes(to)) return;
  throw conflict(`container ${id} is ${stateName(from)} and cannot become ${stateName(to)}`);
}

/** There is a process: started, perhaps frozen. */
export function isActive(state: State): boolean {
  return state === S.RUNNING || state === S.PAUSED;
}
