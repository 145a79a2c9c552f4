import { hash } from 'node:crypto';
import { envOf, expandWord, withEnv } from '@atoll/dockerfile';
import { invalidArgument } from '@atoll/errors';
import { normalizePlatform, parsePlatform, platformString } from '@atoll/oci';
import type { PlannedStage } from '../graph/stage-graph.ts';
import { stateOfImage } from '../image/image-document.ts';
import { type StageState, scratchState } from '../image/stage-state.ts';
import type { BuildOutput } from '../progress/build-output.ts';
import type { BuildSession } from './build-session.ts';
import { resolveImage } from './resolve-image.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The state a stage that is not based on another one begins with. */
export async function baseState(
  session: BuildSession,
  planned: PlannedStage,
  output: BuildOutput,
): Promise<StageState> {
  checkPlatform(session, planned.stage.from.platform);
  const { base } = planned;
  if (base.kind === 'scratch') return dated(session, scratchState(session.platform));
  if (base.kind === 'stage') throw invalidArgument('a stage based on another one begins with that one');
  const state = stateOfImage(await resolveImage(session, base.reference, output));
  return dated(session, state.platform.architecture === '' ? { ...state, platform: session.platform } : state);
}

/** Docker gives every stage a PATH. */
export function withDefaultPath(state: StageState): StageState {
  if (envOf(state.config).has('PATH')) return state;
  return { ...state, config: { ...state.config, Env: withEnv(state.config.Env ?? [], 'PATH', DEFAULT_PATH) } };
}

/** Layers made for one source date are not those of another. */
function dated(session: BuildSession, state: StageState): StageState {
  if (session.sourceDateEpoch === 0) return state;
  return { ...state, key: hash('sha256', JSON.stringify(['dated', state.key, session.sourceDateEpoch])) };
}

function checkPlatform(session: BuildSession, wanted: string | undefined): void {
  const expanded = expandWord(wanted ?? '', session.args.meta, session.dockerfile.escapeChar);
  if (expanded === '') return;
  const own = normalizePlatform(session.platform);
  const asked = parsePlatform(expanded, own);
  if (platformString(asked) !== platformString(own)) {
    throw invalidArgument(
      `platform ${expanded} cannot be built: the hosts of this cluster are ${platformString(own)}; build for that one`,
    );
  }
}
