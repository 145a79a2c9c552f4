import { hash } from 'node:crypto';
import type { RunConfig } from '@atoll/dockerfile';
import type { containerV1 } from '@atoll/proto';

export interface HistoryEntry {
  /** RFC 3339. */
  readonly created?: string;
  readonly created_by?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

export interface PlatformFields {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
}

/** A stage after some of its steps: an image in the making. Steps replace it, they never change it in place. */
export interface StageState {
  /** Names all that went into this state, in hex: the parent of the next step's cache key, and the id shown after a step. */
  readonly key: string;
  /** Steps so far; with none the state is the base image itself. */
  readonly steps: number;
  /** Id of the image the stage began with; empty for scratch. */
  readonly baseImageId: string;
  readonly platform: PlatformFields;
  readonly layers: readonly containerV1.Layer[];
  readonly config: RunConfig;
  readonly history: readonly HistoryEntry[];
  readonly author: string;
  /** RFC 3339, of the newest step. */
  readonly created: string;
}

/** Marks the history entries this builder wrote; only they may seed its cache. */
export const HISTORY_COMMENT = 'atoll.dockerfile.v0';

/** What a step looks for in the cache: its parent and its own words, which hold the digests of all it reads. */
export function probeKey(parentKey: string, createdBy: string): string {
  return hash('sha256', JSON.stringify(['step', parentKey, createdBy]));
}

/** The state after a step. Its layer is part of it, so that steps on top of another run of the same RUN never mix. */
export function stateKey(probe: string, diffId: string | undefined): string {
  return hash('sha256', JSON.stringify(['state', probe, diffId ?? '']));
}

export interface StepOutcome {
  readonly probe: string;
  readonly createdBy: string;
  readonly created: string;
  readonly layer: containerV1.Layer | undefined;
  /** The result is another's, taken over by `--cache-from`. */
  readonly imported: boolean;
}

export function withStep(
  state: StageState,
  outcome: StepOutcome,
  config: RunConfig,
  author = state.author,
): StageState {
  const entry: HistoryEntry = {
    created: outcome.created,
    created_by: outcome.createdBy,
    ...(author === '' ? {} : { author }),
    ...(outcome.imported ? {} : { comment: HISTORY_COMMENT }),
    ...(outcome.layer ? {} : { empty_layer: true }),
  };
  return {
    ...state,
    steps: state.steps + 1,
    key: stateKey(outcome.probe, outcome.layer?.diffId),
    layers: outcome.layer ? [...state.layers, outcome.layer] : state.layers,
    history: [...state.history, entry],
    config,
    author,
    created: outcome.created,
  };
}

/** The state of FROM scratch. */
export function scratchState(platform: PlatformFields): StageState {
  return {
    key: '',
    steps: 0,
    baseImageId: '',
    platform,
    layers: [],
    config: {},
    history: [],
    author: '',
    created: '1970-01-01T00:00:00Z',
  };
}
