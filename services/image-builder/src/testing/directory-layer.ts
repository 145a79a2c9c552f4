import { hash } from 'node:crypto';
import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { TarEntry } from '../archive/tar-entry.ts';
import { encodeHeader, padding } from '../archive/tar-header.ts';
import { readTar } from '../archive/tar-reader.ts';

/** What a path was: its tar entry and a mark that changes when it does. */
export interface Seen {
  readonly entry: TarEntry;
  readonly mark: string;
}

/** Unpacks a tar of our own making into a directory, whiteouts included. */
export async function applyTar(
  root: string,
  tar: Buffer,
  rename: (name: string) => string = (name) => name,
): Promise<void> {
  for await (const { entry, content } of readTar(single(tar))) {
    const path = join(root, rename(entry.name));
    if (basename(path).startsWith('.wh.')) {
      rmSync(join(dirname(path), basename(path).slice(4)), { recursive: true, force: true });
      continue;
    }
    mkdirSync(dirname(path), { recursive: true });
    if (entry.type === 'directory') mkdirSync(path, { recursive: true });
    else rmSync(path, { recursive: true, force: true });
    if (entry.type === 'symlink') symlinkSync(entry.linkname, path);
    if (entry.type === 'hardlink') linkSync(join(root, rename(entry.linkname)), path);
    if (entry.type === 'file') writeFileSync(path, entry.size === 0 ? '' : await whole(content()));
    lchownSync(path, entry.uid, entry.gid);
    if (entry.type === 'symlink') continue;
    chmodSync(path, entry.mode);
    utimesSync(path, entry.mtime, entry.mtime);
  }
}

/** Says whether a path of the same directory was touched: cheap, but of no meaning elsewhere. */
export function changeMark(path: string, entry: TarEntry): string {
  const { ino, ctimeNs } = lstatSync(path, { bigint: true });
  // What happens in a directory changes its times, which is no change of its own.
  return entry.type === 'directory' ? `${ino} ${entry.mode} ${entry.uid} ${entry.gid}` : `${ino} ${ctimeNs}`;
}

/** The same for the same content and attributes anywhere. */
export function contentMark(path: string, entry: TarEntry): string {
  const content = entry.type === 'file' ? hash('sha256', readFileSync(path)) : '';
  return JSON.stringify([{ ...entry, name: '', mtime: 0, xattrs: [] }, content]);
}

/** Everything below a directory, by path. */
export function look(root: string, mark: typeof changeMark): Map<string, Seen> {
  const seen = new Map<string, Seen>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).sort()) {
      const child = path === '' ? name : `${path}/${name}`;
      const entry = entryOf(root, child);
      seen.set(child, { entry, mark: mark(join(root, child), entry) });
      if (entry.type === 'directory') walk(child);
    }
  };
  walk('');
  return seen;
}

/** The difference as a layer's tar; undefined when there is none. */
export function layerOf(root: string, before: ReadonlyMap<string, Seen>, epoch: number): Buffer | undefined {
  const after = look(root, changeMark);
  const parts: Buffer[] = [];
  for (const [path, { entry, mark }] of after) {
    if (before.get(path)?.mark === mark) continue;
    const mtime = epoch > 0 ? Math.min(entry.mtime, epoch) : entry.mtime;
    parts.push(encodeHeader({ ...entry, mtime }));
    if (entry.size === 0) continue;
    const bytes = readFileSync(join(root, path));
    parts.push(bytes, Buffer.alloc(padding(bytes.length)));
  }
  for (const path of before.keys()) {
    if (after.has(path) || (dirname(path) !== '.' && !after.has(dirname(path)))) continue;
    parts.push(encodeHeader({ ...EMPTY, name: join(dirname(path), `.wh.${basename(path)}`) }));
  }
  return parts.length === 0 ? undefined : Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export const EMPTY: TarEntry = {
  name: '',
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  linkname: '',
  devmajor: 0,
  devminor: 0,
  xattrs: new Map(),
};

function entryOf(root: string, path: string): TarEntry {
  const stat = lstatSync(join(root, path));
  const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
  return {
    ...EMPTY,
    name: path,
    type,
    mode: type === 'symlink' ? 0o777 : stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: type === 'file' ? stat.size : 0,
    mtime: Math.floor(stat.mtimeMs / 1000),
    linkname: type === 'symlink' ? readlinkSync(join(root, path)) : '',
  };
}

async function* single(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

async function whole(content: Buffer | AsyncIterable<Buffer>): Promise<Buffer> {
  if (Buffer.isBuffer(content)) return content;
  const parts: Buffer[] = [];
  for await (const part of content) parts.push(part);
  return Buffer.concat(parts);
}
