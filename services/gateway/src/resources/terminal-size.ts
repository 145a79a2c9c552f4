import { invalidArgument } from '@atoll/errors';

/** `h` and `w` of a resize call. @throws invalid-argument */
export function terminalSize(query: URLSearchParams): { readonly height: number; readonly width: number } {
  return { height: side(query, 'h'), width: side(query, 'w') };
}

function side(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '';
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65535) return Number(text);
  throw invalidArgument(`invalid value for query parameter "${name}": want 0 to 65535 (got "${text}")`);
}
