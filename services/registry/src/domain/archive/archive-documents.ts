import { invalidArgument } from '@atoll/errors';
import { type ImageIndex, parseManifest, parseStrictJson } from '@atoll/oci';
import { z } from 'zod';

const MAX_IMAGES = 1_000;

const dockerManifestSchema = z
  .array(
    z.object({
      Config: z.string(),
      RepoTags: z.array(z.string()).max(10_000).nullish(),
      Layers: z.array(z.string()).max(1_024).nullish(),
    }),
  )
  .min(1)
  .max(MAX_IMAGES);

/** An image of `docker save`'s manifest.json. */
export type SavedImage = z.output<typeof dockerManifestSchema>[number];

/** Parses manifest.json of an archive (docker image specification v1.2). Errors: invalid-argument. */
export function parseSavedImages(bytes: Uint8Array): SavedImage[] {
  const result = dockerManifestSchema.safeParse(parseStrictJson(bytes));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalidArgument(`invalid manifest.json at ${issue?.path.join('.') || 'its top'}: ${issue?.message}`);
}

/** Parses index.json of an OCI image layout. Errors: invalid-argument. */
export function parseLayoutIndex(bytes: Uint8Array): ImageIndex {
  const index = parseManifest(bytes);
  if (index.kind !== 'index') throw invalidArgument('invalid index.json: it is no image index');
  return index;
}
