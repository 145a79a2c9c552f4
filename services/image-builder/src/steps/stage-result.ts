import type { StageState } from '../image/stage-state.ts';
import type { BuildHost } from './build-host.ts';

/** What a stage leaves for those that need it. */
export interface StageResult {
  readonly state: StageState;
  /** Where its layers lie already. */
  readonly host: BuildHost | undefined;
}
