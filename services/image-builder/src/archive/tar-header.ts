import { invalidArgument } from '@atoll/errors';
import type { TarEntry, TarType } from './tar-entry.ts';

export const BLOCK = 512;
/** Shared by all entries without attributes: a context has many. */
const NO_XATTRS: ReadonlyMap<string, string> = new Map();

/** Type flags (POSIX ustar, pax 1003.1-2001 and GNU's). */
const TYPES: Readonly<Record<string, TarType>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};
const FLAGS: Readonly<Record<TarType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** A header block that announces more about the entry after it. */
export type ExtensionType = 'pax' | 'pax-global' | 'gnu-name' | 'gnu-link';
const EXTENSIONS: Readonly<Record<string, ExtensionType>> = { x: 'pax', g: 'pax-global', L: 'gnu-name', K: 'gnu-link' };

export type HeaderBlock =
  | { readonly kind: 'entry'; readonly entry: TarEntry }
  | { readonly kind: 'extension'; readonly type: ExtensionType; readonly size: number };

export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** True when the block's checksum is right: how an archive is told from any other file. */
export function isHeaderBlock(block: Buffer): boolean {
  if (block.length < BLOCK || isZeroBlock(block.subarray(0, BLOCK))) return false;
  const field = block.toString('latin1', 148, 156).match(/[0-7]+/);
  return field !== null && Number.parseInt(field[0], 8) === checksum(block);
}

/** Reads one header block. Throws invalid-argument on a wrong checksum, a bad number or a type that is not understood. */
export function decodeHeader(block: Buffer): HeaderBlock {
  if (!isHeaderBlock(block)) throw invalidArgument('not a tar archive, or a damaged one: wrong header checksum');
  const flag = block.toString('latin1', 156, 157);
  const extension = EXTENSIONS[flag];
  if (extension) return { kind: 'extension', type: extension, size: number(block, 124, 12) };
  const magic = block.toString('latin1', 257, 263);
  const prefix = magic === 'ustar\0' ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  // Before ustar a name with a slash at its end was the only mark of a directory.
  const type = TYPES[flag] === 'file' && name.endsWith('/') ? 'directory' : TYPES[flag];
  if (!type) throw invalidArgument(`tar entry ${name}: type ${JSON.stringify(flag)} is not supported`);
  return {
    kind: 'entry',
    entry: {
      name: prefix === '' ? name : `${prefix}/${name}`,
      type,
      mode: number(block, 100, 8) & 0o7777,
      uid: number(block, 108, 8),
      gid: number(block, 116, 8),
      size: number(block, 124, 12),
      mtime: number(block, 136, 12),
      linkname: text(block, 157, 100),
      devmajor: number(block, 329, 8),
      devminor: number(block, 337, 8),
      xattrs: NO_XATTRS,
    },
  };
}

/** The header of an entry as ustar, with a pax extension before it for what ustar cannot hold. */
export function encodeHeader(entry: TarEntry): Buffer {
  const name = entry.type === 'directory' ? `${entry.name}/` : entry.name;
  const pax: [string, string][] = [];
  if (!fits(name, 100)) pax.push(['path', latin1(name)]);
  if (!fits(entry.linkname, 100)) pax.push(['linkpath', latin1(entry.linkname)]);
  if (entry.size > 0o77777777777) pax.push(['size', String(entry.size)]);
  if (entry.uid > 0o7777777) pax.push(['uid', String(entry.uid)]);
  if (entry.gid > 0o7777777) pax.push(['gid', String(entry.gid)]);
  if (entry.mtime < 0 || !Number.isInteger(entry.mtime)) pax.push(['mtime', String(entry.mtime)]);
  for (const key of [...entry.xattrs.keys()].sort()) {
    pax.push([`SCHILY.xattr.${latin1(key)}`, entry.xattrs.get(key) as string]);
  }
  const block = ustarBlock(entry, name);
  if (pax.length === 0) return block;
  const body = Buffer.from(pax.map(([key, value]) => paxRecord(key, value)).join(''), 'latin1');
  const head = ustarBlock({ ...PAX_HEADER, size: body.length }, PAX_HEADER.name);
  head[156] = 'x'.charCodeAt(0);
  sign(head);
  return Buffer.concat([head, body, Buffer.alloc(padding(body.length)), block]);
}

export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

const PAX_HEADER: TarEntry = {
  name: 'PaxHeader',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  linkname: '',
  devmajor: 0,
  devminor: 0,
  xattrs: NO_XATTRS,
};

function ustarBlock(entry: TarEntry, name: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(name.slice(0, 100), 0, 100, 'utf8');
  octal(block, 100, 8, entry.mode);
  octal(block, 108, 8, entry.uid > 0o7777777 ? 0 : entry.uid);
  octal(block, 116, 8, entry.gid > 0o7777777 ? 0 : entry.gid);
  octal(block, 124, 12, entry.size > 0o77777777777 ? 0 : entry.size);
  octal(block, 136, 12, Math.max(0, Math.floor(entry.mtime)));
  block.write(FLAGS[entry.type], 156, 1, 'latin1');
  block.write(entry.linkname.slice(0, 100), 157, 100, 'utf8');
  block.write('ustar\u000000', 257, 8, 'latin1');
  octal(block, 329, 8, entry.devmajor);
  octal(block, 337, 8, entry.devminor);
  sign(block);
  return block;
}

function sign(block: Buffer): void {
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
}

function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] as number;
  return sum;
}

/** `<length> <key>=<value>\n`, the length counting its own digits. */
function paxRecord(key: string, value: string): string {
  const body = ` ${key}=${value}\n`;
  let length = body.length + 1;
  while (length !== body.length + String(length).length) length = body.length + String(length).length;
  return `${length}${body}`;
}

function fits(value: string, bytes: number): boolean {
  return Buffer.byteLength(value) <= bytes;
}

/** UTF-8 bytes as a latin1 string, so that text and binary values join in one record. */
function latin1(value: string): string {
  return Buffer.from(value).toString('latin1');
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString('utf8', offset, end < 0 || end > offset + length ? offset + length : end);
}

/** An octal field, or GNU's base-256 when its first bit is set. */
function number(block: Buffer, offset: number, length: number): number {
  const first = block[offset] as number;
  if (first & 0x80) {
    let value = first === 0xff ? -1 : first & 0x7f;
    for (let at = offset + 1; at < offset + length; at++) value = value * 256 + (block[at] as number);
    if (!Number.isSafeInteger(value)) throw invalidArgument('tar header: number out of range');
    return value;
  }
  const digits = block
    .toString('latin1', offset, offset + length)
    .replace(/\0.*$/s, '')
    .trim();
  if (digits === '') return 0;
  if (!/^[0-7]+$/.test(digits)) throw invalidArgument('tar header: malformed number');
  return Number.parseInt(digits, 8);
}
