import { z } from 'zod';

/** What a Go client sends for a field nobody set. */
export function isDefault(value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.values(value).every(isDefault);
}

/**
 * An object of the create request. Fields the shape does not know must have their default: clients send all fields of their
 * version, but a field that asks for something is never dropped silently.
 */
export function knownFields<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$loose> {
  return z.looseObject(shape).superRefine((value, context) => {
    for (const [name, field] of Object.entries(value)) {
      if (Object.hasOwn(shape, name) || isDefault(field)) continue;
      context.addIssue({ code: 'custom', path: [name], message: 'unknown field' });
    }
  });
}

/** A field of the API that Atoll has not built: it must have its default, or one of the other `neutral` values. */
export function unbuilt(...neutral: readonly unknown[]): z.ZodOptional<z.ZodType<unknown>> {
  return z
    .unknown()
    .superRefine((value, context) => {
      if (isDefault(value) || neutral.includes(value)) return;
      context.addIssue({ code: 'custom', params: { unbuilt: true }, message: 'is not built yet' });
    })
    .optional();
}

/** A field of the API that this operation does not take, in docker as here: it must have its default. */
export function fixed(why: string, ...neutral: readonly unknown[]): z.ZodOptional<z.ZodType<undefined>> {
  return z
    .unknown()
    .superRefine((value, context) => {
      if (!isDefault(value) && !neutral.includes(value)) context.addIssue({ code: 'custom', message: why });
    })
    .transform(() => undefined)
    .optional() as unknown as z.ZodOptional<z.ZodType<undefined>>;
}

/** Go marshals nil slices, maps and pointers as null: absent. */
export function absentable<S extends z.ZodType>(schema: S): z.ZodOptional<z.ZodType<z.output<S>>> {
  const nullable = schema.nullish().transform((value) => value ?? undefined);
  // zod types the result of a transform as present; at run time an absent field stays absent.
  return nullable as unknown as z.ZodOptional<z.ZodType<z.output<S>>>;
}

export const text = absentable(z.string());
export const texts = absentable(z.array(z.string()));
export const flag = absentable(z.boolean());
export const integer = absentable(z.int());
export const textMap = absentable(z.record(z.string(), z.string()));
/** Docker's strslice: a list, or one text. */
export const words = absentable(z.union([z.array(z.string()), z.string().transform((word) => [word])]));
/** Docker's sets: `{"80/tcp":{}}`. */
export const nameSet = absentable(
  z.record(z.string(), z.looseObject({}).nullable()).transform((set) => Object.keys(set)),
);
