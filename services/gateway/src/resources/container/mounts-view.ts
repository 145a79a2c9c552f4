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
      Mode: mount.readOnly ? 'ro' : '',
      RW: !mount.readOnly,
      Propagation: mount.type === 'bind' ? mount.propagation || 'rprivate' : '',
    }));
}

/** `HostConfig.Binds`: binds and named volumes as `-v` takes them. */
export function bindTexts(view: ContainerView): readonly string[] | null {
  const binds = view.spec.mounts
    .filter((mount) => (mount.type === 'bind' || mount.type === 'volume') && !mount.anonymous)
    .map((mount) => {
      const options = [mount.readOnly ? 'ro' : '', mount.noCopy ? 'nocopy' : '', mount.propagation].filter(Boolean);
      return [mount.source, mount.target, ...(options.length > 0 ? [options.join(',')] : [])].join(':');
    });
  return binds.length > 0 ? binds : null;
}

export function tmpfsMap(view: ContainerView): Readonly<Record<string, string>> | undefined {
  const mounts = view.spec.mounts.filter((mount) => mount.type === 'tmpfs' && mount.options !== '');
  return mounts.length > 0 ? Object.fromEntries(mounts.map((mount) => [mount.target, mount.options])) : undefined;
}
