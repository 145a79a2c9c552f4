import { z } from 'zod';

/** `host:port`, port 0 = any free one. */
export const address = z.string().regex(/^[^\s:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i, 'must be host:port');

/** `a:1,b:2` -> list of at least one address. */
export const addressList = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(address).min(1));

/** `a=b,c=d` -> record; names at most once. */
export const pairs = z.string().transform((text, context): Readonly<Record<string, string>> => {
  const result: Record<string, string> = Object.create(null);
  for (const part of text.split(',').filter(Boolean)) {
    const at = part.indexOf('=');
    if (at < 1 || part.slice(0, at) in result) {
      context.addIssue({ code: 'custom', message: 'must be name=value,name=value with each name once' });
      return z.NEVER;
    }
    result[part.slice(0, at)] = part.slice(at + 1);
  }
  return result;
});

export const positiveInteger = z.coerce.number().int().positive();

/** `1`, `true`, `yes` or `0`, `false`, `no`. */
export const flag = z.stringbool();

export const absolutePath = z.string().startsWith('/', 'must be an absolute path');
