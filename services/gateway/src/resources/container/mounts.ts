import { posix } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { HostConfigRequest } from './host-config-request.ts';
import { type MountImages, mountOfRequest } from './mount-of-request.ts';
import { anonymousVolume, destination, VOLUME_NAME } from './mount-targets.ts';

const PROPAGATIONS = new Set(['shared', 'rshared', 'slave', 'rslave', 'private', 'rprivate']);
/** Options of `-v` that mean nothing without Docker Desktop, in docker as here. */
const NEUTRAL_OPTIONS = new Set(['rw', 'cached', 'delegated', 'consistent', 'default']);
/** Of `-v` and `--volumes-from`: which SELinux label the files get, where the host uses SELinux. */
export const RELABEL_OPTIONS: ReadonlyMap<string, string> = new Map([
  ['z', 'shared'],
  ['Z', 'private'],
]);

/** What mounts come from beside the request itself. */
export interface MountSources {
  readonly images: MountImages;
  /** Of other containers; the container's own at the same path win. */
  readonly inherited: readonly containerV1.Mount[];
}

/**
 * All mounts of a container: binds and volumes (`-v`), mounts (`--mount`), tmpfs, then an anonymous volume for each declared
 * path nothing else covers.
 * @throws invalid-argument naming the mount
 */
export function mountsOf(
  host: HostConfigRequest,
  declaredVolumes: readonly string[],
  { images, inherited }: MountSources,
): containerV1.Mount[] {
  const mounts = [
    ...(host.Binds ?? []).map(bindOf),
    ...(host.Mounts ?? []).map((mount) => mountOfRequest(mount, images)),
    ...Object.entries(host.Tmpfs ?? {}).map(([target, options]) =>
      containerV1.Mount.fromPartial({ type: 'tmpfs', target: destination(target), options }),
    ),
  ];
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalidArgument(`Duplicate mount point: ${target}`);
    targets.add(target);
  }
  for (const mount of inherited) {
    if (!targets.has(mount.target)) mounts.push(mount);
    targets.add(mount.target);
  }
  for (const declared of declaredVolumes) {
    const target = destination(declared);
    if (!targets.has(target)) mounts.push(anonymousVolume(target));
    targets.add(target);
  }
  return mounts;
}

/** `[source:]target[:options]` of `-v`. */
function bindOf(bind: string): containerV1.Mount {
  const parts = bind.split(':');
  const bad = (why: string): Error => invalidArgument(`invalid volume specification: '${bind}': ${why}`);
  if (parts.length > 3 || parts.some((part) => part === '')) throw bad('want [source:]target[:options]');
  if (parts.length === 1) return anonymousVolume(destination(bind));
  const [source = '', target = '', options = ''] = parts;
  const mount = containerV1.Mount.fromPartial({ target: destination(target) });
  if (source.startsWith('/')) Object.assign(mount, { type: 'bind', source: posix.normalize(source) });
  else if (VOLUME_NAME.test(source)) Object.assign(mount, { type: 'volume', source });
  else throw bad(`"${source}" is neither an absolute path nor a volume name`);
  for (const option of options === '' ? [] : options.split(',')) {
    if (option === 'ro') mount.readOnly = true;
    else if (option === 'nocopy' && mount.type === 'volume') mount.noCopy = true;
    else if (PROPAGATIONS.has(option) && mount.type === 'bind') mount.propagation = option;
    else if (RELABEL_OPTIONS.has(option) && mount.relabel === '') mount.relabel = RELABEL_OPTIONS.get(option) ?? '';
    else if (!NEUTRAL_OPTIONS.has(option)) throw bad(`invalid mode: ${options}`);
  }
  return mount;
}
