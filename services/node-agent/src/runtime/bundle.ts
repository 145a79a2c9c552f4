import { join } from 'node:path';

/** Names inside a container's bundle folder (mode 0700), shared with the shim. */
export const BUNDLE_FILE = {
  /** Encoded `ContainerPlan`, written by the shim before it carries anything of it out. */
  plan: 'plan',
  /** `<pid> <start ticks>` of the shim; locked by it as long as it lives. */
  shim: 'shim.pid',
  /** `<pid> <start ticks>` of the container's first process; a second line has the time of its start, ns, once it was asked for. */
  init: 'init.pid',
  /** JSON `ExitRecord`; present once the container has ended and all its output is in the log. */
  exit: 'exit',
  /** Unix stream socket, see `native/README.md`. */
  socket: 'control.sock',
  /** Unix stream socket of the cluster's Docker API, for a container that mounts it. */
  apiSocket: 'docker.sock',
} as const;

export function bundlePath(bundle: string, file: keyof typeof BUNDLE_FILE): string {
  return join(bundle, BUNDLE_FILE[file]);
}
