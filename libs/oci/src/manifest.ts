import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { absentable, annotationsSchema, type Descriptor, descriptorSchema } from './descriptor.ts';
import { isIndexType, isManifestType, MEDIA_TYPES } from './media-types.ts';
import { parseDocument } from './parse-document.ts';
import { parseStrictJson } from './strict-json.ts';

/** One image or artifact: a config and layers, base first (OCI manifest.md, Docker manifest v2 schema 2). */
export interface ImageManifest {
  readonly kind: 'manifest';
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Several manifests, one a platform (OCI image-index.md, Docker manifest list). */
export interface ImageIndex {
  readonly kind: 'index';
  readonly mediaType: string;
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export type Manifest = ImageManifest | ImageIndex;

/** More layers than any overlay takes and more platforms than exist: what exceeds them is an attack, not an image. */
const MAX_LAYERS = 1024;
const MAX_MANIFESTS = 1024;

const shared = {
  schemaVersion: z.literal(2),
  mediaType: absentable(z.string()),
  artifactType: absentable(z.string().max(255)),
  subject: absentable(descriptorSchema),
  annotations: annotationsSchema,
};
const manifestSchema = z.object({
  ...shared,
  config: descriptorSchema,
  layers: absentable(z.array(descriptorSchema).max(MAX_LAYERS)),
});
const indexSchema = z.object({ ...shared, manifests: absentable(z.array(descriptorSchema).max(MAX_MANIFESTS)) });

const FIELDS = [
  'schemaVersion',
  'mediaType',
  'artifactType',
  'subject',
  'annotations',
  'config',
  'layers',
  'manifests',
];

/**
 * Parses a manifest or index from untrusted bytes. `contentType` is what the transport called it; it must agree with the
 * document's own `mediaType`, and a document that could be read as both kinds is refused (CVE-2021-41190).
 * Errors: invalid-argument, resource-exhausted (over 4 MiB).
 */
export function parseManifest(bytes: Uint8Array, contentType?: string): Manifest {
  const value = parseStrictJson(bytes);
  const mediaType = mediaTypeOf(value, contentType);
  if (isIndexType(mediaType)) {
    const index = parseDocument('image index', value, indexSchema, FIELDS);
    return {
      kind: 'index',
      mediaType,
      artifactType: index.artifactType,
      manifests: index.manifests ?? [],
      subject: index.subject,
      annotations: index.annotations,
    };
  }
  const manifest = parseDocument('image manifest', value, manifestSchema, FIELDS);
  return {
    kind: 'manifest',
    mediaType,
    artifactType: manifest.artifactType,
    config: manifest.config,
    layers: manifest.layers ?? [],
    subject: manifest.subject,
    annotations: manifest.annotations,
  };
}

function mediaTypeOf(value: unknown, contentType: string | undefined): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidArgument('invalid manifest: it is not a JSON object');
  }
  const has = (key: string): boolean => Object.hasOwn(value, key);
  if (has('manifests') && (has('layers') || has('config'))) {
    throw invalidArgument('invalid manifest: it has both "manifests" and "layers" or "config"');
  }
  if (has('fsLayers') || has('signatures')) {
    throw invalidArgument(
      'invalid manifest: Docker schema 1 is not supported, push the image with a client of this decade',
    );
  }
  const stated = (value as { mediaType?: unknown }).mediaType ?? undefined;
  if (stated !== undefined && typeof stated !== 'string')
    throw invalidArgument('invalid manifest: mediaType is no string');
  const transport = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const named = transport === '' || transport === 'application/json' ? undefined : transport;
  if (stated !== undefined && named !== undefined && stated !== named) {
    throw invalidArgument(`invalid manifest: Content-Type says "${named}", the document says "${stated}"`);
  }
  const mediaType = stated ?? named ?? (has('manifests') ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest);
  if (!isIndexType(mediaType) && !isManifestType(mediaType)) {
    throw invalidArgument(`invalid manifest: unknown media type "${mediaType.slice(0, 128)}"`);
  }
  return mediaType;
}

/** The bytes of a new image manifest; its digest is the hash of exactly these bytes. */
export function serializeManifest(manifest: Omit<ImageManifest, 'kind'>): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifest.mediaType,
      artifactType: manifest.artifactType,
      config: manifest.config,
      layers: manifest.layers,
      subject: manifest.subject,
      annotations: manifest.annotations,
    }),
  );
}

/** Everything a manifest needs to be complete: config and layers, or the manifests of an index. The subject is not among them. */
export function referencesOf(manifest: Manifest): readonly Descriptor[] {
  return manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers];
}
