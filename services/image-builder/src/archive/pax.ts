import { invalidArgument } from '@atoll/errors';
import type { TarEntry } from './tar-entry.ts';

/** The records of a pax extension (POSIX.1-2001), values as bytes in latin1. Throws invalid-argument when malformed. */
export function parsePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < body.length) {
    const blank = body.indexOf(0x20, at);
    const digits = blank < 0 ? '' : body.toString('latin1', at, blank);
    const length = /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    if (length === 0 || end > body.length || body[end - 1] !== 0x0a) throw invalidArgument('malformed pax record');
    const record = body.toString('latin1', blank + 1, end - 1);
    const equals = record.indexOf('=');
    if (equals <= 0) throw invalidArgument('malformed pax record');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

const XATTR = 'SCHILY.xattr.';

/** The entry with what pax says about it; local records win over global ones, an empty value takes a record back. */
export function applyPax(
  entry: TarEntry,
  global: ReadonlyMap<string, string>,
  local: ReadonlyMap<string, string>,
): TarEntry {
  const records = new Map([...global, ...local]);
  const xattrs = new Map<string, string>();
  for (const [key, value] of records) {
    if (key.startsWith('GNU.sparse.')) throw invalidArgument(`tar entry ${entry.name}: sparse files are not supported`);
    if (key.startsWith(XATTR)) xattrs.set(utf8(key.slice(XATTR.length)), value);
  }
  const text = (key: string, old: string): string => utf8(records.get(key) || latin1(old));
  const number = (key: string, old: number): number => {
    const value = records.get(key);
    if (!value) return old;
    if (!/^-?\d+(\.\d+)?$/.test(value) || !Number.isFinite(Number(value)) || Math.abs(Number(value)) > 2 ** 53) {
      throw invalidArgument(`tar entry ${entry.name}: malformed pax ${key}`);
    }
    return Number(value);
  };
  return {
    ...entry,
    name: text('path', entry.name),
    linkname: text('linkpath', entry.linkname),
    size: Math.trunc(number('size', entry.size)),
    uid: Math.trunc(number('uid', entry.uid)),
    gid: Math.trunc(number('gid', entry.gid)),
    mtime: number('mtime', entry.mtime),
    xattrs: xattrs.size === 0 ? entry.xattrs : xattrs,
  };
}

function utf8(latin: string): string {
  return Buffer.from(latin, 'latin1').toString('utf8');
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
