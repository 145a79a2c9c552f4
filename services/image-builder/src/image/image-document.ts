import { hash } from 'node:crypto';
import type { RunConfig } from '@atoll/dockerfile';
import { type ImageConfig, parseImageConfig } from '@atoll/oci';
import type { imageV1 } from '@atoll/proto';
import type { HistoryEntry, StageState } from './stage-state.ts';

/** The image config of a finished stage, as bytes that depend on nothing but the state. Its digest is the image's id. */
export function imageDocument(state: StageState): { readonly bytes: Buffer; readonly id: string } {
  const { architecture, os, variant } = state.platform;
  const document = {
    architecture,
    ...(state.author === '' ? {} : { author: state.author }),
    config: sortKeys(state.config),
    created: state.created,
    history: state.history,
    os,
    rootfs: { type: 'layers', diff_ids: state.layers.map((layer) => layer.diffId) },
    ...(variant === undefined ? {} : { variant }),
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return { bytes, id: `sha256:${hash('sha256', bytes)}` };
}

/** The state a stage begins with when it is based on an image of the store. */
export function stateOfImage(image: imageV1.Image): StageState {
  const config: ImageConfig = parseImageConfig(image.config);
  return {
    key: image.id.replace(/^sha256:/, ''),
    steps: 0,
    baseImageId: image.id,
    platform: {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant === undefined ? {} : { variant: config.variant }),
    },
    layers: image.layers,
    config: dropAbsent(config.config) as RunConfig,
    history: config.history.map((entry) => dropAbsent(entry) as HistoryEntry),
    author: config.author ?? '',
    created: config.created ?? '1970-01-01T00:00:00Z',
  };
}

function dropAbsent(object: object): object {
  return Object.fromEntries(
    Object.entries(object).filter(([key, value]) => value !== undefined && value !== null && key !== 'ArgsEscaped'),
  );
}

function sortKeys(config: RunConfig): object {
  return Object.fromEntries(
    Object.entries(config)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}
