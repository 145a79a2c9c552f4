import type { containerV1 } from '@atoll/proto';
import { currentStatus } from './container-state.ts';
import type { ContainerView } from './container-view.ts';

/** `Mounts` of list and inspect. tmpfs of `--tmpfs` is only in HostConfig, as in docker. */
export function mountPoints(view: ContainerView): readonly Record<string, unknown>[] {
  const paths = currentStatus(view)?.volumePaths ?? {};
  return view.spec.mounts
    .filter((mount) => mount.type !== 'tmpfs' || mount.options === '')
    .map((mount) => ({
      Type: mount.type,
      ...(mount.type === 'volume'
        ? { Name: mount.source, Source: paths[mount.source] ?? '', Destination: mount.target, Driver: 'local' }
        : { Source: mount.source, Destination: mount.target }),
      Mode: [mount.readOnly ? 'ro' : '', relabelText(mount)].filter(Boolean).join(','),
      RW: !mount.readOnly,
      Propagation: mount.type === 'bind' ? mount.propagation || 'rprivate' : '',
    }));
}

/** `HostConfig.Binds`: binds and named volumes as `-v` takes them. */
export function bindTexts(view: ContainerView): readonly string[] | null {
  const binds = view.spec.mounts
    .filter((mount) => isBindText(mount))
    .map((mount) => {
      const { readOnly, noCopy, propagation } = mount;
      const options = [readOnly && 'ro', noCopy && 'nocopy', propagation, relabelText(mount)].filter(Boolean);
      return [mount.source, mount.target, ...(options.length > 0 ? [options.join(',')] : [])].join(':');
    });
  return binds.length > 0 ? binds : null;
}

function relabelText({ relabel }: containerV1.Mount): string {
  return relabel === 'shared' ? 'z' : relabel === 'private' ? 'Z' : '';
}

/** What `-v` can say. */
function isBindText(mount: containerV1.Mount): boolean {
  if ((mount.type !== 'bind' && mount.type !== 'volume') || mount.anonymous || mount.inherited) return false;
  return !isMountObject(mount);
}

/** What only `--mount` can say. */
function isMountObject(mount: containerV1.Mount): boolean {
  if (mount.inherited) return false;
  return (
    mount.type === 'image' ||
    mount.mustExist ||
    mount.nonRecursive ||
    mount.readOnlyNonRecursive ||
    mount.readOnlyForceRecursive ||
    mount.subpath !== '' ||
    Object.keys(mount.volumeLabels).length > 0 ||
    (mount.type === 'tmpfs' && mount.options === '')
  );
}

/** `HostConfig.Mounts`. */
export function mountObjects(view: ContainerView): readonly Record<string, unknown>[] | undefined {
  const mounts = view.spec.mounts.filter(isMountObject).map((mount) => ({
    Type: mount.type,
    ...(mount.type === 'tmpfs' || mount.anonymous ? {} : { Source: mount.source }),
    Target: mount.target,
    ...(mount.readOnly && mount.type !== 'image' ? { ReadOnly: true } : {}),
    ...present('BindOptions', {
      ...(mount.propagation === '' ? {} : { Propagation: mount.propagation }),
      ...(mount.nonRecursive ? { NonRecursive: true } : {}),
      ...(mount.readOnlyNonRecursive ? { ReadOnlyNonRecursive: true } : {}),
      ...(mount.readOnlyForceRecursive ? { ReadOnlyForceRecursive: true } : {}),
    }),
    ...present('VolumeOptions', {
      ...(mount.noCopy ? { NoCopy: true } : {}),
      ...(Object.keys(mount.volumeLabels).length > 0 ? { Labels: mount.volumeLabels } : {}),
      ...(mount.type === 'volume' && mount.subpath !== '' ? { Subpath: mount.subpath } : {}),
      ...(Object.keys(mount.volumeOptions).length > 0
        ? { DriverConfig: { Name: 'local', Options: mount.volumeOptions } }
        : {}),
    }),
    ...present('ImageOptions', mount.type === 'image' && mount.subpath !== '' ? { Subpath: mount.subpath } : {}),
    ...present('TmpfsOptions', {
      ...(mount.tmpfsSize > 0n ? { SizeBytes: Number(mount.tmpfsSize) } : {}),
      ...(mount.tmpfsMode > 0 ? { Mode: mount.tmpfsMode } : {}),
      ...(mount.tmpfsOptions.length > 0 ? { Options: mount.tmpfsOptions.map((option) => option.split('=')) } : {}),
    }),
  }));
  return mounts.length > 0 ? mounts : undefined;
}

function present(name: string, fields: Record<string, unknown>): Record<string, unknown> {
  return Object.keys(fields).length > 0 ? { [name]: fields } : {};
}

export function tmpfsMap(view: ContainerView): Readonly<Record<string, string>> | undefined {
  const mounts = view.spec.mounts.filter((mount) => mount.type === 'tmpfs' && mount.options !== '');
  return mounts.length > 0 ? Object.fromEntries(mounts.map((mount) => [mount.target, mount.options])) : undefined;
}
