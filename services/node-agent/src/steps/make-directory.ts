import { hasReason } from '@atoll/errors';
import type { buildV1 } from '@atoll/proto';
import type { BuildHost } from './build-host.ts';
import { stepRoot } from './step-workspaces.ts';

/** An archive without members. */
const EMPTY_TAR = Buffer.alloc(1024);

/** WORKDIR: the directory exists afterwards; a layer when it did not before. */
export async function makeDirectory(
  build: BuildHost,
  request: buildV1.MakeDirectoryRequest,
  signal: AbortSignal,
): Promise<buildV1.StepResult> {
  const lease = await build.layers.acquire(request.base?.layers ?? [], signal);
  try {
    await using workspace = await build.workspaces.create();
    const root = stepRoot(workspace, lease.directories.length > 0 ? lease.directories : [build.emptyLayer]);
    const exists = await build.filesystem.stat(root, request.path, signal).then(
      () => true,
      (error: unknown) => {
        if (hasReason(error, 'not-found')) return false;
        throw error;
      },
    );
    if (exists) return { exitCode: 0, layer: undefined, empty: true };
    const owner = request.owner === '' ? undefined : await build.filesystem.user(root, request.owner, signal);
    await build.filesystem.write(root, request.path, tarOf(), { makeFolders: true, owner }, signal);
    const layer = await build.committer.commit(workspace.upper, request.sourceDateEpoch, signal);
    return { exitCode: 0, layer, empty: layer === undefined };
  } finally {
    lease.release();
  }
}

async function* tarOf(): AsyncGenerator<Uint8Array> {
  yield EMPTY_TAR;
}
