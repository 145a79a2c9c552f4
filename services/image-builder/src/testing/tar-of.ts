import type { TarEntry } from '../archive/tar-entry.ts';
import { encodeHeader, padding } from '../archive/tar-header.ts';
import { EMPTY } from './directory-layer.ts';

/** Content of a file, or an entry of another kind with whatever differs from a plain one. */
export type Described = string | Buffer | (Partial<TarEntry> & { readonly content?: string | Buffer });

/** A tar of named entries, in the given order; a name with a slash at its end is a directory. */
export function tarOf(entries: Readonly<Record<string, Described>>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, described] of Object.entries(entries)) {
    const plain = typeof described === 'string' || Buffer.isBuffer(described);
    const content = Buffer.from(plain ? described : (described.content ?? ''));
    const directory = name.endsWith('/');
    const entry: TarEntry = {
      ...EMPTY,
      ...(directory ? { type: 'directory', mode: 0o755 } : {}),
      ...(plain ? {} : described),
      name: directory ? name.slice(0, -1) : name,
      size: content.length,
    };
    parts.push(encodeHeader(entry), content, Buffer.alloc(padding(content.length)));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}
