import { invalidArgument } from '@atoll/errors';
import { z } from 'zod';

/** Docker's truth values; absent is false. */
export const queryFlag = (fallback = false): z.ZodType<boolean, string | undefined> =>
  z
    .string()
    .optional()
    .transform((text, issues) => {
      if (text === undefined) return fallback;
      if (TRUE.has(text.toLowerCase())) return true;
      if (FALSE.has(text.toLowerCase())) return false;
      issues.addIssue({ code: 'custom', message: 'want 1, true, 0 or false' });
      return z.NEVER;
    });

const TRUE = new Set(['1', 'true', 'yes', 't', 'on']);
const FALSE = new Set(['', '0', 'false', 'no', 'none', 'f', 'off']);

/** A whole number; absent or empty is undefined. */
export const queryInteger = (): z.ZodType<number | undefined, string | undefined> =>
  z
    .string()
    .optional()
    .transform((text, issues) => {
      if (text === undefined || text === '') return undefined;
      const value = Number(text);
      if (/^-?\d+$/.test(text) && Number.isSafeInteger(value)) return value;
      issues.addIssue({ code: 'custom', message: 'want a whole number' });
      return z.NEVER;
    });

export const queryText = (fallback = ''): z.ZodType<string, string | undefined> => z.string().default(fallback);

/**
 * Query parameters, checked. Parameters the schema does not name are no part of the API and, as in docker, not looked at.
 * @throws invalid-argument naming the parameter
 */
export function parseQuery<S extends z.ZodObject>(query: URLSearchParams, schema: S): z.output<S> {
  const given: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = query.get(name);
    if (value !== null) given[name] = value;
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const name = String(issue?.path[0] ?? '');
  throw invalidArgument(`invalid value for query parameter "${name}": ${issue?.message} (got "${given[name] ?? ''}")`);
}
