import type { RunConfig } from '@atoll/dockerfile';
import type { containerV1 } from '@atoll/proto';
import type { ResolvedImage } from '../image/resolved-image.ts';
import type { ContainerView } from './container-view.ts';

export interface CommitNotes {
  readonly author: string;
  readonly comment: string;
  /** RFC 3339. */
  readonly created: string;
}

/** The OCI config of an image that is another one with a container's changes on top. `layer` undefined: it wrote nothing. */
export function committedDocument(
  base: ResolvedImage,
  { spec }: ContainerView,
  layer: containerV1.Layer | undefined,
  config: RunConfig,
  { author, comment, created }: CommitNotes,
): object {
  const { architecture, os, variant, history = [] } = base.config;
  const entry = {
    created,
    // What ran, as docker shows it.
    created_by: (spec.process?.cmd ?? []).join(' '),
    ...(author === '' ? {} : { author }),
    ...(comment === '' ? {} : { comment }),
    ...(layer === undefined ? { empty_layer: true } : {}),
  };
  const below = base.image.layers.map(({ diffId }) => diffId);
  return {
    architecture: architecture ?? 'amd64',
    os: os ?? 'linux',
    ...(variant === undefined ? {} : { variant }),
    created,
    ...(author === '' ? {} : { author }),
    ...(comment === '' ? {} : { comment }),
    config,
    rootfs: { type: 'layers', diff_ids: layer === undefined ? below : [...below, layer.diffId] },
    history: [...history, entry],
  };
}
