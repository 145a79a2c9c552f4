import type { TarEntry } from '../archive/tar-entry.ts';

/** A file, directory or link of a build context: what the tar said, where its content lies and what it digests to. */
export interface ContextNode {
  readonly entry: TarEntry;
  /** Where the content starts in the spool. */
  readonly offset: number;
  /** SHA-256 over content and metadata without the modification time, hex. Names are not part of it. */
  readonly digest: string;
  /** Of a directory, by name. */
  readonly children: Map<string, ContextNode> | undefined;
}

export function isDirectory(node: ContextNode): node is ContextNode & { readonly children: Map<string, ContextNode> } {
  return node.children !== undefined;
}
