import { mkdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { invalidArgument, permissionDenied } from '@atoll/errors';
import { unlessMissing } from '../files/missing.ts';

/**
 * A path of this host that a container may have; a missing one is made as a folder (`docker run -v`) or refused
 * (`--mount`). Throws permission-denied for our own data, whose bytes other containers trust.
 */
export async function bindSource(
  source: string,
  dataRoot: string,
  { make }: { readonly make: boolean },
): Promise<string> {
  if (!isAbsolute(source)) throw invalidArgument(`invalid mount path: '${source}' mount path must be absolute`);
  const found = await unlessMissing(stat(source));
  if (!found && !make) {
    throw invalidArgument(`invalid mount config for type "bind": bind source path does not exist: ${source}`);
  }
  if (!found) await mkdir(source, { recursive: true, mode: 0o755 });
  const [path, own] = await Promise.all([realpath(source), realpath(dataRoot)]);
  if (contains(own, path) || contains(path, own)) {
    throw permissionDenied(
      `bind source ${source} is, or holds, the data of this host's agent; mount a folder that does neither`,
    );
  }
  return path;
}

function contains(folder: string, path: string): boolean {
  const rest = relative(folder, path);
  return rest === '' || !(rest === '..' || rest.startsWith('../') || isAbsolute(rest));
}
