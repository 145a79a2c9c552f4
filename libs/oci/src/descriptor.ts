import { type Digest, parseDigest } from '@atoll/reference';
import { z } from 'zod';

/** `linux/arm64/v8` in parts (OCI image-index.md, platform). */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Points to a blob by content (OCI descriptor.md). `size` in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly urls?: readonly string[] | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly artifactType?: string | undefined;
  readonly platform?: Platform | undefined;
}

/** Go writes absent lists and maps as null. */
export function absentable<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined);
}

export const digestSchema = z.string().transform((text, context): Digest => {
  try {
    return parseDigest(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not a digest' });
    return z.NEVER;
  }
});

export const mediaTypeSchema = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*$/);
export const annotationsSchema = absentable(z.record(z.string(), z.string()));

const platformSchema = z.object({
  os: z.string().max(128),
  architecture: z.string().max(128),
  variant: absentable(z.string().max(128)),
});

export const descriptorSchema: z.ZodType<Descriptor> = z.object({
  mediaType: mediaTypeSchema,
  digest: digestSchema,
  size: z.int().nonnegative(),
  urls: absentable(z.array(z.string()).max(64)),
  annotations: annotationsSchema,
  artifactType: absentable(z.string().max(255)),
  platform: absentable(platformSchema),
});
