import type { buildV1 } from '@atoll/proto';
import type { RootSpec } from '../runtime/shim-tools.ts';
import type { BuildHost } from './build-host.ts';
import { copySources } from './copy-sources.ts';
import { TarDigest } from './tar-digest.ts';

/** Digest of what COPY --from would take: the same files give the same, whenever they were made. */
export async function digestPaths(
  build: BuildHost,
  request: buildV1.DigestPathsRequest,
  signal: AbortSignal,
): Promise<string> {
  const lease = await build.layers.acquire(request.base?.layers ?? [], signal);
  try {
    const root: RootSpec = { kind: 'overlay', lowers: lease.directories };
    const digest = new TarDigest();
    for (const { path, name, folder } of await copySources(build.filesystem, root, request.paths, signal)) {
      const at = folder ? `${path.replace(/\/+$/, '')}/.` : path;
      await digest.add(folder ? '' : name, build.filesystem.read(root, at, signal));
    }
    return digest.digest();
  } finally {
    lease.release();
  }
}
