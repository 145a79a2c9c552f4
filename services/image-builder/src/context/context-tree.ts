import { hash } from 'node:crypto';
import { invalidArgument, resourceExhausted } from '@atoll/errors';
import type { TarEntry } from '../archive/tar-entry.ts';
import { type ContextNode, isDirectory } from './context-node.ts';
import type { MemoryBudget } from './memory-budget.ts';

const MAX_NAME_BYTES = 4096;
const MAX_LINKS = 40;
/** Measured: what an entry with a short name costs. */
const ENTRY_BYTES = 400;

/**
 * A build context as a tree in memory, made from tar entries as if they had been unpacked into an empty directory: the last
 * entry of a name wins, nothing leaves the root. Symbolic links are followed inside the tree only.
 */
export class ContextTree {
  readonly root: ContextNode & { children: Map<string, ContextNode> };
  readonly #maxEntries: number;
  readonly #budget: MemoryBudget;
  #entries = 0;
  #bytes = 0;

  constructor(maxEntries: number, budget: MemoryBudget) {
    this.#maxEntries = maxEntries;
    this.#budget = budget;
    this.root = directoryNode('');
  }

  get entries(): number {
    return this.#entries;
  }

  /** @param contentDigest SHA-256 of the file's content, hex; empty for what has none */
  add(entry: TarEntry, offset: number, contentDigest: string): void {
    if (++this.#entries > this.#maxEntries) {
      throw resourceExhausted(`the build context has more than ${this.#maxEntries} entries`);
    }
    this.#take(entry);
    const parts = pathParts(entry.name);
    const name = parts.pop();
    if (name === undefined) return;
    const parent = this.#parentOf(parts, entry.name);
    const node = this.#nodeOf(entry, offset, contentDigest);
    const old = parent.children.get(name);
    // A directory named twice keeps what is in it and takes the newer attributes.
    if (old && isDirectory(old) && isDirectory(node)) parent.children.set(name, { ...node, children: old.children });
    else parent.children.set(name, node);
  }

  /** The node at a path, symbolic links on the way and at its end followed inside the tree; undefined when there is none. */
  find(path: string): ContextNode | undefined {
    let links = 0;
    const walk = (parts: readonly string[]): string[] | undefined => {
      const at: ContextNode[] = [this.root];
      let names: string[] = [];
      for (const [index, part] of parts.entries()) {
        if (part === '' || part === '.') continue;
        if (part === '..') {
          if (at.length > 1) at.pop();
          names = names.slice(0, at.length - 1);
          continue;
        }
        const here = at.at(-1) as ContextNode;
        const next = here.children?.get(part);
        if (!next) return undefined;
        if (next.entry.type === 'symlink') {
          if (++links > MAX_LINKS) return undefined;
          const target = next.entry.linkname;
          const base = target.startsWith('/') ? [] : names;
          return walk([...base, ...target.split('/'), ...parts.slice(index + 1)]);
        }
        at.push(next);
        names.push(part);
      }
      return names;
    };
    const names = walk(path.split('/'));
    return names?.reduce<ContextNode | undefined>((node, name) => node?.children?.get(name), this.root);
  }

  /** Gives back what the tree took of the budget. */
  release(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }

  #take({ name, linkname, xattrs }: TarEntry): void {
    let bytes = ENTRY_BYTES + 2 * (name.length + linkname.length);
    for (const [key, value] of xattrs) bytes += ENTRY_BYTES + key.length + value.length;
    this.#budget.take(bytes);
    this.#bytes += bytes;
  }

  #parentOf(parts: readonly string[], name: string): ContextNode & { children: Map<string, ContextNode> } {
    let node = this.root;
    for (const part of parts) {
      let next = node.children.get(part);
      if (!next) {
        next = directoryNode(part);
        node.children.set(part, next);
      }
      if (!isDirectory(next)) throw invalidArgument(`build context: ${name} lies below ${part}, which is no directory`);
      node = next;
    }
    return node;
  }

  #nodeOf(entry: TarEntry, offset: number, contentDigest: string): ContextNode {
    if (entry.type === 'hardlink') {
      const target = pathParts(entry.linkname).reduce<ContextNode | undefined>(
        (node, part) => node?.children?.get(part),
        this.root,
      );
      if (!target || isDirectory(target)) {
        throw invalidArgument(`build context: ${entry.name} is a hard link to ${entry.linkname}, which is not in it`);
      }
      return target;
    }
    const children = entry.type === 'directory' ? new Map<string, ContextNode>() : undefined;
    return { entry, offset, digest: digestOf(entry, contentDigest), children };
  }
}

function directoryNode(name: string): ContextNode & { children: Map<string, ContextNode> } {
  const entry: TarEntry = {
    name,
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: 0,
    linkname: '',
    devmajor: 0,
    devminor: 0,
    xattrs: new Map(),
  };
  return { entry, offset: 0, digest: digestOf(entry, ''), children: new Map() };
}

function pathParts(name: string): string[] {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw invalidArgument('build context: a name is longer than 4096 bytes');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw invalidArgument(`build context: ${JSON.stringify(name)} points out of it`);
  return parts;
}

function digestOf(entry: TarEntry, contentDigest: string): string {
  const { type, mode, uid, gid, size, linkname, devmajor, devminor, xattrs } = entry;
  const attributes = [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  return hash(
    'sha256',
    JSON.stringify([type, mode, uid, gid, size, linkname, devmajor, devminor, attributes, contentDigest]),
  );
}
