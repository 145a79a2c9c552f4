import { invalidArgument } from '@atoll/errors';
import type { z } from 'zod';

/** Checks one parsed document; the message names the first wrong field. `known` are the field names of its top level. */
export function parseDocument<T>(what: string, value: unknown, schema: z.ZodType<T>, known: readonly string[]): T {
  rejectCaseVariants(what, value, known);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.map(String).join('.')}`;
  throw invalidArgument(`invalid ${what}${where}: ${issue?.message ?? 'unknown shape'}`);
}

/** Readers in Go match field names whatever their case: `Layers` beside `layers` would be two documents in one. */
function rejectCaseVariants(what: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null) return;
  const canonical = new Map(known.map((name) => [name.toLowerCase(), name]));
  for (const key of Object.keys(value)) {
    const name = canonical.get(key.toLowerCase());
    if (name !== undefined && name !== key)
      throw invalidArgument(`invalid ${what}: the field "${key}" must be "${name}"`);
  }
}
