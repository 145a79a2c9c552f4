import { hash } from 'node:crypto';
import { cleanPath } from '@atoll/dockerfile';
import { invalidArgument, notFound } from '@atoll/errors';
import { type ContextNode, isDirectory } from './context-node.ts';
import type { ContextTree } from './context-tree.ts';
import { PathPattern } from './path-pattern.ts';

/** One thing a COPY or ADD takes from the context. */
export interface Source {
  readonly node: ContextNode;
  /** Base name of the path it was found by: what a file is called in a destination directory. */
  readonly name: string;
}

export interface Selection {
  readonly sources: readonly Source[];
  /** `file:…`, `dir:…` or `multi:…`: digest of all that is copied, as Docker writes it into the history. */
  readonly digest: string;
}

/**
 * Resolves the source paths of a COPY or ADD in the context, wildcards included. Throws not-found with Docker's text when one
 * is missing, invalid-argument when nothing matches or a path leads out.
 */
export function selectSources(tree: ContextTree, paths: readonly string[]): Selection {
  const sources = paths.flatMap((path) => resolve(tree, path));
  if (sources.length === 0) throw invalidArgument('no source files were specified');
  const digests = sources.map(digestOf);
  const digest = digests.length === 1 ? (digests[0] as string) : `multi:${hash('sha256', digests.join(','))}`;
  return { sources, digest };
}

function resolve(tree: ContextTree, path: string): Source[] {
  const cleaned = cleanPath(path).replace(/^\/+/, '') || '.';
  if (cleaned === '..' || cleaned.startsWith('../')) {
    throw invalidArgument(`forbidden path outside the build context: ${path} ()`);
  }
  if (!/[*?[\\]/.test(cleaned)) return [exactly(tree, cleaned)];
  const pattern = PathPattern.compile(cleaned, { doubleStar: false });
  if (!pattern) throw invalidArgument(`syntax error in pattern ${path}`);
  if (pattern.isLiteral) return [exactly(tree, cleaned.replace(/\\(.)/gsu, '$1'))];
  const depth = cleaned.split('/').length;
  const found: Source[] = [];
  const walk = (node: ContextNode, prefix: string, level: number): void => {
    if (!isDirectory(node) || level > depth) return;
    for (const [name, child] of sorted(node.children)) {
      const childPath = prefix === '' ? name : `${prefix}/${name}`;
      if (level === depth && pattern.matches(childPath)) found.push(exactly(tree, childPath));
      walk(child, childPath, level + 1);
    }
  };
  walk(tree.root, '', 1);
  return found;
}

function exactly(tree: ContextTree, path: string): Source {
  const node = tree.find(path);
  if (!node) {
    throw notFound(`file not found in build context or excluded by .dockerignore: stat ${path}: file does not exist`);
  }
  return { node, name: path === '.' ? '' : (path.split('/').at(-1) as string) };
}

/** Children by name in code unit order: what is copied and digested must not depend on the order of the archive. */
export function sorted(children: ReadonlyMap<string, ContextNode>): [string, ContextNode][] {
  return [...children].sort(([a], [b]) => (a < b ? -1 : 1));
}

function digestOf({ node, name }: Source): string {
  if (!isDirectory(node)) return `file:${hash('sha256', JSON.stringify([name, node.digest]))}`;
  const list: string[] = [];
  const walk = (directory: ContextNode, prefix: string): void => {
    for (const [childName, child] of sorted(directory.children ?? new Map())) {
      const path = `${prefix}${childName}`;
      list.push(path, child.digest);
      walk(child, `${path}/`);
    }
  };
  walk(node, '');
  return `dir:${hash('sha256', JSON.stringify(list))}`;
}
