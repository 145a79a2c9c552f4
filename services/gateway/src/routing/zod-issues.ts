import { type AtollError, invalidArgument, unimplemented } from '@atoll/errors';
import type { z } from 'zod';

/**
 * The first problem zod found as an error that names the field: `invalid value for HostConfig.Memory: …`. A custom issue with the
 * parameter `unbuilt` is a field Atoll knows and has not built.
 */
export function errorOfIssues(error: z.ZodError, value: unknown): AtollError {
  const issue = error.issues[0];
  if (issue === undefined) return invalidArgument('invalid request');
  const field = issue.path.map(String).join('.');
  if (issue.code === 'custom' && issue.params?.['unbuilt'] === true) {
    return unimplemented(`${field} ${issue.message}${show(value, issue.path)}`);
  }
  return invalidArgument(
    `invalid ${field === '' ? 'body' : `value for ${field}`}: ${issue.message}${show(value, issue.path)}`,
  );
}

function show(value: unknown, path: readonly PropertyKey[]): string {
  const at = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key], value);
  if (path.length === 0 || at === undefined || (typeof at === 'object' && at !== null)) return '';
  const text = typeof at === 'bigint' ? String(at) : JSON.stringify(at);
  return ` (got ${text.length > 64 ? `${text.slice(0, 64)}…` : text})`;
}
