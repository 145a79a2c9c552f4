import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { HostConfigRequest, MountRequest } from './host-config-request.ts';

const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const PROPAGATIONS = new Set(['shared', 'rshared', 'slave', 'rslave', 'private', 'rprivate']);
/** Options of `-v` that mean nothing on a host without SELinux and Docker Desktop, in docker as here. */
const NEUTRAL_OPTIONS = new Set(['rw', 'z', 'Z', 'cached', 'delegated', 'consistent', 'default']);

/**
 * All mounts of a container: binds and volumes (`-v`), mounts (`--mount`), tmpfs, then an anonymous volume for each declared
 * path nothing else covers.
 * @throws invalid-argument naming the mount
 */
export function mountsOf(host: HostConfigRequest, declaredVolumes: readonly string[]): containerV1.Mount[] {
  const mounts = [
    ...(host.Binds ?? []).map(bindOf),
    ...(host.Mounts ?? []).map(mountOf),
    ...Object.entries(host.Tmpfs ?? {}).map(([target, options]) =>
      containerV1.Mount.fromPartial({ type: 'tmpfs', target: destination(target), options }),
    ),
  ];
  const targets = new Set<string>();
  for (const { target } of mounts) {
    if (targets.has(target)) throw invalidArgument(`Duplicate mount point: ${target}`);
    targets.add(target);
  }
  for (const declared of declaredVolumes) {
    const target = destination(declared);
    if (!targets.has(target)) mounts.push(anonymousVolume(target));
    targets.add(target);
  }
  return mounts;
}

function anonymousVolume(target: string): containerV1.Mount {
  const source = randomBytes(32).toString('hex');
  return containerV1.Mount.fromPartial({ type: 'volume', source, target, anonymous: true });
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
    else if (!NEUTRAL_OPTIONS.has(option)) throw bad(`invalid mode: ${options}`);
  }
  return mount;
}

function mountOf(request: MountRequest): containerV1.Mount {
  const bad = (why: string): Error => invalidArgument(`invalid mount config for type "${request.Type}": ${why}`);
  if (request.Target === undefined || request.Target === '') throw bad('field Target must not be empty');
  const source = request.Source ?? '';
  const base = { target: destination(request.Target), readOnly: request.ReadOnly ?? false, type: request.Type };
  if (request.Type === 'bind') {
    if (!source.startsWith('/')) throw bad('invalid mount path: mount path must be absolute');
    return containerV1.Mount.fromPartial({
      ...base,
      source: posix.normalize(source),
      propagation: request.BindOptions?.Propagation ?? '',
    });
  }
  if (request.Type === 'volume') {
    if (source === '') return { ...anonymousVolume(base.target), readOnly: base.readOnly };
    if (!VOLUME_NAME.test(source)) throw bad(`"${source}" includes invalid characters for a volume name`);
    return containerV1.Mount.fromPartial({ ...base, source, noCopy: request.VolumeOptions?.NoCopy ?? false });
  }
  if (request.Type === 'tmpfs') {
    if (source !== '') throw bad('field Source must not be specified');
    const { SizeBytes = 0, Mode = 0 } = request.TmpfsOptions ?? {};
    return containerV1.Mount.fromPartial({ ...base, tmpfsSize: BigInt(SizeBytes), tmpfsMode: Mode });
  }
  throw unimplemented(`HostConfig.Mounts: mounts of type ${request.Type} are not built yet`);
}

function destination(path: string): string {
  if (!path.startsWith('/')) throw invalidArgument(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = posix.normalize(path).replace(/(.)\/$/, '$1');
  if (clean === '/') throw invalidArgument(`invalid specification: destination can't be '/'`);
  return clean;
}
