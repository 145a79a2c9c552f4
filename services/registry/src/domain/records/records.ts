import { dataLoss } from '@atoll/errors';
import { type Digest, parseDigest } from '@atoll/reference';
import { z } from 'zod';

const digest = z.string().transform((text): Digest => parseDigest(text));
const optionalDigest = z.union([z.literal('').transform(() => undefined), digest]).optional();

const imageSchema = z.object({
  manifest: digest,
  mediaType: z.string(),
  /** Id of the image this one was built on. */
  parent: optionalDigest,
  /** Unix milliseconds when it came into the store. */
  at: z.number(),
});
const tagSchema = z.object({
  digest,
  mediaType: z.string(),
  size: z.number(),
  /** Id of the image the tag means on this platform; undefined for artifacts. */
  image: optionalDigest,
  at: z.number(),
});
const manifestSchema = z.object({
  mediaType: z.string(),
  size: z.number(),
  image: optionalDigest,
  artifactType: z.string().optional(),
  subject: optionalDigest,
  annotations: z.record(z.string(), z.string()).optional(),
  at: z.number(),
});
const blobSchema = z.object({ size: z.number() });
const storeSchema = z.object({ id: z.string() });

/** An image in the store, tagged or dangling. */
export type ImageRecord = z.output<typeof imageSchema>;
/** A name: what `repository:tag` points to. */
export type TagRecord = z.output<typeof tagSchema>;
/** A repository has this manifest by digest. */
export type ManifestRecord = z.output<typeof manifestSchema>;
/** A repository may read this blob. */
export type BlobRecord = z.output<typeof blobSchema>;
/** Which store of blobs these names belong to. */
export type StoreRecord = z.output<typeof storeSchema>;

export const RECORD_SCHEMAS = {
  image: imageSchema,
  tag: tagSchema,
  manifest: manifestSchema,
  blob: blobSchema,
  store: storeSchema,
} as const;

export function encodeRecord(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

export function decodeRecord<T>(schema: z.ZodType<T>, key: string, bytes: Uint8Array): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw dataLoss(`the record ${key} is damaged; restore it from a backup or delete it`, { cause });
  }
}
