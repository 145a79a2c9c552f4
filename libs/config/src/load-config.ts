import { invalidArgument } from '@atoll/errors';
import type { z } from 'zod';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Checks the environment against `schema` once, at start, and freezes the result. An empty variable counts as unset.
 * Throws invalid-argument naming every wrong variable; values are not repeated, they may be secrets.
 */
export function loadConfig<S extends z.ZodType>(
  schema: S,
  environment: Environment = process.env,
): Readonly<z.output<S>> {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return Object.freeze(parsed.data);
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw invalidArgument(`the configuration is wrong: ${problems.join('; ')}`);
}
