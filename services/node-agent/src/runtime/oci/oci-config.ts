import { join } from 'node:path';
import type { ContainerPlan, NamespaceMode } from '../plan.ts';
import { ociJson } from './oci-json.ts';
import { ociMounts, rootPropagation } from './oci-mounts.ts';
import { type NumericUser, ociProcess } from './oci-process.ts';
import { ociDeviceRules, ociResources } from './oci-resources.ts';

/** What a plan does not say in a form that OCI has. */
export interface OciDetails {
  /** The folder of the container, absolute: also the OCI bundle. */
  readonly bundle: string;
  readonly user: NumericUser;
  /** `linux.seccomp`; undefined is unconfined. */
  readonly seccomp: unknown;
  readonly annotations: Readonly<Record<string, string>>;
}

const NAMESPACE_TYPE = { pid: 'pid', net: 'network', ipc: 'ipc', uts: 'uts', cgroup: 'cgroup' } as const;

/**
 * `config.json` of the bundle, from the plan that the native runtime would carry out. Root, binds and joined namespaces are places
 * of the bundle where the shim has them ready; see "Other OCI runtimes" in `native/README.md`.
 * Source: the OCI runtime specification 1.0.2.
 */
export function ociConfig(plan: ContainerPlan, { bundle, user, seccomp, annotations }: OciDetails): Buffer {
  const { hostname, domainname } = plan;
  const config = {
    ociVersion: '1.0.2',
    process: ociProcess(plan.process, user),
    root: { path: 'rootfs', readonly: plan.root.readonly },
    ...(hostname === undefined ? {} : { hostname }),
    mounts: ociMounts(bundle, plan.mounts),
    annotations,
    linux: {
      namespaces: [
        { type: 'mount' },
        ...(['pid', 'net', 'ipc', 'uts', 'cgroup'] as const).flatMap((kind) =>
          namespace(bundle, kind, plan.namespaces[kind]),
        ),
      ],
      // The specification's own field for the domain is newer than runtimes in use; the setting has always been there.
      sysctl: { ...plan.sysctls, ...(domainname === undefined ? {} : { 'kernel.domainname': domainname }) },
      cgroupsPath: plan.cgroup.path,
      resources: { ...ociResources(plan.cgroup.limits), devices: ociDeviceRules(plan.cgroup.deviceRules) },
      devices: plan.devices.map(({ path, type, major, minor, mode, uid, gid }) => ({
        path,
        type,
        major,
        minor,
        fileMode: mode,
        uid,
        gid,
      })),
      rootfsPropagation: rootPropagation(plan.mounts),
      maskedPaths: plan.maskedPaths,
      readonlyPaths: plan.readonlyPaths,
      ...(plan.mountLabel === undefined ? {} : { mountLabel: plan.mountLabel }),
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  };
  return Buffer.from(ociJson(config));
}

function namespace(bundle: string, kind: keyof typeof NAMESPACE_TYPE, { mode }: NamespaceMode): readonly object[] {
  if (mode === 'host') return [];
  const type = NAMESPACE_TYPE[kind];
  // The network is made, and connected, before the runtime is asked.
  if (mode === 'private' && kind !== 'net') return [{ type }];
  return [{ type, path: join(bundle, 'ns', kind) }];
}
