import { hasReason, invalidArgument, notFound } from '@atoll/errors';
import type { RootReader } from '../archive/root-filesystem.ts';
import type { RootSpec } from '../runtime/shim-tools.ts';

/** One thing COPY --from takes. */
export interface CopySource {
  /** Path in the source root, links followed. */
  readonly path: string;
  /** The name it was asked for by. */
  readonly name: string;
  readonly folder: boolean;
}

/** Bit of Go's os.FileMode for folders. */
const FOLDER = 2 ** 31;

/** What the paths name in the source root. Throws not-found for a path that is not there. */
export async function copySources(
  filesystem: RootReader,
  root: RootSpec,
  patterns: readonly string[],
  signal: AbortSignal,
): Promise<readonly CopySource[]> {
  const sources: CopySource[] = [];
  for (const pattern of patterns) {
    const paths = /[*?[\\]/.test(pattern) ? await filesystem.glob(root, pattern, signal) : [pattern];
    for (const path of paths) sources.push(await sourceOf(filesystem, root, path, signal));
  }
  if (sources.length === 0) throw invalidArgument('no source files were specified');
  return sources;
}

async function sourceOf(
  filesystem: RootReader,
  root: RootSpec,
  path: string,
  signal: AbortSignal,
): Promise<CopySource> {
  const stat = async (at: string) =>
    await filesystem.stat(root, at, signal).catch((error: unknown) => {
      if (!hasReason(error, 'not-found')) throw error;
      throw notFound(`stat ${path.replace(/^\/+/, '')}: file does not exist`, { cause: error });
    });
  const first = await stat(path);
  const target = first.linkTarget === '' ? path : first.linkTarget;
  const { mode } = first.linkTarget === '' ? first : await stat(target);
  return {
    path: target,
    name: path.replace(/\/+$/, '').replace(/^.*\//, ''),
    folder: Math.floor(mode / FOLDER) % 2 === 1,
  };
}
