import type { Digest } from '@atoll/reference';
import { z } from 'zod';
import { absentable, digestSchema } from './descriptor.ts';
import { parseDocument } from './parse-document.ts';
import { parseStrictJson } from './strict-json.ts';

const strings = absentable(z.array(z.string()));
const keys = absentable(z.record(z.string(), z.unknown()));

const runSchema = z.object({
  User: absentable(z.string()),
  ExposedPorts: keys,
  Env: strings,
  Entrypoint: strings,
  Cmd: strings,
  Volumes: keys,
  WorkingDir: absentable(z.string()),
  Labels: absentable(z.record(z.string(), z.string())),
  StopSignal: absentable(z.string()),
  Shell: strings,
  OnBuild: strings,
  Healthcheck: absentable(z.record(z.string(), z.unknown())),
  ArgsEscaped: absentable(z.boolean()),
});

const historySchema = z.object({
  created: absentable(z.string()),
  created_by: absentable(z.string()),
  author: absentable(z.string()),
  comment: absentable(z.string()),
  empty_layer: absentable(z.boolean()),
});

const configSchema = z.object({
  architecture: absentable(z.string().max(128)),
  os: absentable(z.string().max(128)),
  variant: absentable(z.string().max(128)),
  created: absentable(z.string()),
  author: absentable(z.string()),
  config: absentable(runSchema),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: absentable(z.array(digestSchema).max(1024)) }),
  history: absentable(z.array(historySchema).max(8192)),
});

const FIELDS = ['architecture', 'os', 'variant', 'created', 'author', 'config', 'rootfs', 'history'];

/** An entry of `history`, oldest first; `empty_layer` entries have no layer. */
export type ImageHistory = z.output<typeof historySchema>;
/** Defaults of a container made from the image (`config` of OCI config.md). */
export type ImageRunConfig = z.output<typeof runSchema>;

/** The image configuration; its digest is Docker's image id (OCI config.md). */
export interface ImageConfig {
  readonly architecture: string;
  readonly os: string;
  readonly variant: string | undefined;
  /** RFC 3339, as given. */
  readonly created: string | undefined;
  readonly author: string | undefined;
  readonly config: ImageRunConfig;
  /** Digests of the uncompressed layers, base first. */
  readonly diffIds: readonly Digest[];
  readonly history: readonly ImageHistory[];
}

/** Parses an image config from untrusted bytes. Errors: invalid-argument, resource-exhausted (over 4 MiB). */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const config = parseDocument('image config', parseStrictJson(bytes), configSchema, FIELDS);
  return {
    architecture: config.architecture ?? '',
    os: config.os ?? '',
    variant: config.variant,
    created: config.created,
    author: config.author,
    config: config.config ?? runSchema.parse({}),
    diffIds: config.rootfs.diff_ids ?? [],
    history: config.history ?? [],
  };
}
