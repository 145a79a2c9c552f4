import { posix } from 'node:path';
import { volumeSource } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { ResolvedImage } from '../image/resolved-image.ts';
import { isDefault } from './lenient-object.ts';
import type { MountRequest } from './mount-request.ts';
import { anonymousVolume, destination, VOLUME_NAME } from './mount-targets.ts';

/** The options each type of mount has; those of another type are a contradiction. */
const OPTIONS = { bind: 'BindOptions', volume: 'VolumeOptions', image: 'ImageOptions', tmpfs: 'TmpfsOptions' } as const;
const TMPFS_FLAGS = new Set(['ro', 'rw', 'nosuid', 'suid', 'nodev', 'dev', 'noexec', 'exec', 'noatime']);
const TMPFS_SETTINGS = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks']);

/** Images of the cluster by the reference a mount names them with. */
export type MountImages = ReadonlyMap<string, ResolvedImage>;

/** One of HostConfig.Mounts (`--mount`). @throws invalid-argument in docker's words, naming the field */
export function mountOfRequest(request: MountRequest, images: MountImages): containerV1.Mount {
  const { Type: type } = request;
  if (type === 'npipe' || type === 'cluster') {
    throw unimplemented(`HostConfig.Mounts: mounts of type ${type} are not built: bind, volume, tmpfs and image are`);
  }
  const bad = badOf(type);
  if (request.Target === undefined || request.Target === '') throw bad('field Target must not be empty');
  for (const [other, field] of Object.entries(OPTIONS)) {
    if (other !== type && !isDefault(request[field])) throw bad(`field ${field} must not be specified`);
  }
  const base = { target: destination(request.Target), readOnly: request.ReadOnly ?? false, type };
  const source = request.Source ?? '';
  if (type === 'bind') return containerV1.Mount.fromPartial({ ...base, ...bindFields(request, source) });
  if (type === 'volume') return volumeOf(request, source, base);
  if (type === 'image') return containerV1.Mount.fromPartial({ ...base, ...imageFields(request, source, images) });
  if (source !== '') throw bad('field Source must not be specified');
  return containerV1.Mount.fromPartial({ ...base, ...tmpfsFields(request) });
}

function bindFields({ ReadOnly, BindOptions: options }: MountRequest, source: string): Partial<containerV1.Mount> {
  const bad = badOf('bind');
  if (!source.startsWith('/')) throw bad('invalid mount path: mount path must be absolute');
  for (const field of ['ReadOnlyNonRecursive', 'ReadOnlyForceRecursive'] as const) {
    if (options?.[field] && !ReadOnly) throw bad(`mount options conflict: !ReadOnly && BindOptions.${field}`);
  }
  if (options?.ReadOnlyForceRecursive && (options.NonRecursive || options.ReadOnlyNonRecursive)) {
    const other = options.NonRecursive ? 'NonRecursive' : 'ReadOnlyNonRecursive';
    throw bad(`mount options conflict: ${other} && BindOptions.ReadOnlyForceRecursive`);
  }
  return {
    source: posix.normalize(source),
    propagation: options?.Propagation ?? '',
    nonRecursive: options?.NonRecursive ?? false,
    readOnlyNonRecursive: options?.ReadOnlyNonRecursive ?? false,
    readOnlyForceRecursive: options?.ReadOnlyForceRecursive ?? false,
    mustExist: !options?.CreateMountpoint,
  };
}

function volumeOf(
  { VolumeOptions: options }: MountRequest,
  source: string,
  base: { readonly target: string; readonly readOnly: boolean },
): containerV1.Mount {
  const fields = {
    ...base,
    noCopy: options?.NoCopy ?? false,
    subpath: subpath('volume', options?.Subpath ?? ''),
    volumeLabels: { ...options?.Labels },
    volumeOptions: driverOptions(options?.DriverConfig?.Options ?? {}),
  };
  if (source === '') {
    if (fields.subpath !== '') throw badOf('volume')('must not set Subpath when using anonymous volumes');
    return { ...anonymousVolume(base.target), ...fields };
  }
  if (!VOLUME_NAME.test(source)) throw badOf('volume')(`"${source}" includes invalid characters for a volume name`);
  return containerV1.Mount.fromPartial({ ...fields, type: 'volume', source });
}

function imageFields(
  { ImageOptions: options }: MountRequest,
  source: string,
  images: MountImages,
): Partial<containerV1.Mount> {
  const bad = badOf('image');
  if (source === '') throw bad('field Source must not be empty');
  const found = images.get(source);
  // Not docker's 404: clients take that for a missing image of the container and pull.
  if (!found) throw bad(`No such image: ${source}`);
  const { id: imageId, manifestDigest, layers } = found.image;
  if (layers.length === 0) throw bad(`image ${source} has no files`);
  const image = { imageId, manifestDigest, reference: source, layers };
  return { source, image, readOnly: true, subpath: subpath('image', options?.Subpath ?? '') };
}

function tmpfsFields({ TmpfsOptions: options }: MountRequest): Partial<containerV1.Mount> {
  const { SizeBytes = 0, Mode = 0, Options = [] } = options ?? {};
  const bad = badOf('tmpfs');
  if (SizeBytes < 0) throw bad('TmpfsOptions.SizeBytes must not be negative');
  if (Mode < 0 || Mode > 0o7777) throw bad(`TmpfsOptions.Mode must be from 0 to 4095 (got ${Mode})`);
  const tmpfsOptions = Options.map((option) => {
    const [name = '', value] = option;
    const known = option.length === 1 ? TMPFS_FLAGS.has(name) : option.length === 2 && TMPFS_SETTINGS.has(name);
    if (!known || (value !== undefined && !/^[0-9a-z%]+$/i.test(value))) {
      throw bad(
        `TmpfsOptions.Options: invalid option ${JSON.stringify(option)}: want one of ${[...TMPFS_FLAGS].join(', ')}, ` +
          `or a value for one of ${[...TMPFS_SETTINGS].join(', ')}`,
      );
    }
    if ((name === 'size' && SizeBytes > 0) || (name === 'mode' && Mode > 0)) {
      throw bad(`TmpfsOptions.Options: ${name} is given twice`);
    }
    return option.join('=');
  });
  return { tmpfsSize: BigInt(SizeBytes), tmpfsMode: Mode, tmpfsOptions };
}

function subpath(type: string, path: string): string {
  if (path === '') return '';
  const clean = posix.normalize(path);
  if (clean.startsWith('/') || clean === '.' || clean.split('/').includes('..') || clean.includes('\0')) {
    throw badOf(type)(`Subpath must be a relative path within the ${type} (got "${path}")`);
  }
  return clean.replace(/\/$/, '');
}

function badOf(type: string): (why: string) => Error {
  return (why) => invalidArgument(`HostConfig.Mounts: invalid mount config for type "${type}": ${why}`);
}

/** Checked here, though the host goes by them. */
function driverOptions(options: Readonly<Record<string, string>>): Record<string, string> {
  volumeSource(options);
  return { ...options };
}
