import { cpus } from 'node:os';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { AppArmor } from '../apparmor/apparmor.ts';
import type { CapabilityName } from '../runtime/capabilities.ts';
import {
  DEFAULT_DEV_LINKS,
  DEFAULT_DEVICE_RULES,
  DEFAULT_DEVICES,
  defaultMounts,
  identityMounts,
} from '../runtime/default-mounts.ts';
import type { EndpointsPlan } from '../runtime/endpoints-plan.ts';
import { maskedPaths, READONLY_PATHS } from '../runtime/masked-paths.ts';
import type {
  ContainerPlan,
  DeviceNode,
  IdMap,
  MountPlan,
  NamespaceMode,
  NamespacesPlan,
  NetworkPlan,
  RootPlan,
} from '../runtime/plan.ts';
import type { Labels, SELinux } from '../selinux/selinux.ts';
import type { CustomDevices } from './custom-devices.ts';
import { logPlan } from './log-plan.ts';
import type { FindContainer, Shared } from './neighbours.ts';
import { containerPlanProcess } from './process-plan.ts';
import { resourceLimits } from './resource-limits.ts';
import { type Runtimes, runtimePath } from './runtimes.ts';
import { checkedSysctls } from './sysctls.ts';
import { userNamespaceOf } from './user-namespace.ts';

/** What the host knows and a spec does not say. */
export interface PlanHost {
  readonly cgroupParent: string;
  /** Bounding set of the agent. */
  readonly capabilities: bigint;
  readonly swapAccounting: boolean;
  /** Cgroup v2 alone: a container's own group cannot be told to give it more devices. */
  readonly unifiedCgroups: boolean;
  readonly hostname: string;
  /** Ids of containers in user namespaces; undefined: all have the host's. */
  readonly remap: IdMap | undefined;
  /** The program that `--init` makes pid 1, see `native/init`. */
  readonly init: string;
  readonly apparmor: AppArmor;
  readonly selinux: SELinux;
  /** Other OCI runtimes. */
  readonly runtimes: Runtimes;
  /** Other containers of this host. */
  readonly find: FindContainer;
  /** Devices for privileged containers. */
  readonly devices: readonly DeviceNode[];
  /** Encoded program for a set of capability names. */
  seccomp(capabilities: ReadonlySet<CapabilityName>): Uint8Array;
}

/** What was prepared for this container. */
export interface PlanParts {
  readonly root: RootPlan;
  readonly network: NetworkPlan | undefined;
  /** Absent: no networks of users. */
  readonly endpoints?: EndpointsPlan | undefined;
  /** Binds, volumes and tmpfs, sources resolved. */
  readonly mounts: readonly MountPlan[];
  /** Path of the agent's socket for the cluster's API, relative to the bundle; absent: the container has none. */
  readonly api?: string | undefined;
  /** Absent: the default devices only. */
  readonly devices?: CustomDevices;
  /** Absent: nothing. */
  readonly shared?: Shared;
  /** Absent: the host does not use SELinux. */
  readonly labels?: Labels | undefined;
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string };
  readonly logDirectory: string;
}

const DEFAULT_SHM = 64 * 1024 * 1024;
/** Asked once: the answer costs milliseconds and does not change. */
const MASKED_PATHS = maskedPaths(cpus().length);
/** Docker's place for it. */
const INIT_TARGET = '/sbin/docker-init';
const PRIVATE: NamespaceMode = { mode: 'private' };

/** A spec as the complete list of what the shim does. Throws invalid-argument for what no kernel would take. */
export function containerPlan(record: containerV1.ContainerRecord, parts: PlanParts, host: PlanHost): ContainerPlan {
  const spec = record.spec ?? containerV1.ContainerSpec.fromPartial({});
  const security = spec.security ?? containerV1.Security.fromPartial({});
  const privileged = security.privileged;
  if (security.writableCgroups && !host.unifiedCgroups) {
    throw invalidArgument(
      'security option writable-cgroups needs cgroup v2: on this host a container could lift its own device rules with it',
    );
  }
  const names = hostnames(record, host);
  const namespaces = namespacesOf(spec, parts.shared);
  const userNamespace = userNamespaceOf(spec, parts.shared, host.remap);
  const own = { ...containerPlanProcess(spec, names.hostname, host), selinux: parts.labels?.process };
  return {
    id: record.id,
    process: spec.init ? { ...own, argv: [INIT_TARGET, '--', ...own.argv] } : own,
    namespaces,
    userNamespace,
    ...(namespaces.uts.mode === 'private' ? names : {}),
    root: parts.root,
    mountLabel: parts.labels?.mount,
    layerLabel: parts.labels?.layers,
    mounts: allMounts(spec, privileged, parts, host),
    devices: deviceNodes(parts.devices?.nodes ?? [], privileged ? host.devices : []),
    devLinks: DEFAULT_DEV_LINKS,
    maskedPaths: security.pathsGiven ? security.maskedPaths : privileged ? [] : MASKED_PATHS,
    readonlyPaths: security.pathsGiven ? security.readonlyPaths : privileged ? [] : READONLY_PATHS,
    sysctls: checkedSysctls(spec.sysctls, {
      network: namespaces.net.mode === 'private',
      ipc: namespaces.ipc.mode === 'private',
      groups: userNamespace?.ids.size,
    }),
    cgroup: {
      path: cgroupPathOf(record, host),
      limits: { ...resourceLimits(spec.resources, host.swapAccounting), blkioDevices: parts.devices?.limits },
      deviceRules: privileged ? [] : [...DEFAULT_DEVICE_RULES, ...(parts.devices?.rules ?? [])],
    },
    network: parts.network,
    endpoints: parts.endpoints,
    api: parts.api,
    log: logPlan(spec.log, parts.logDirectory),
    runtime: runtimePath(spec, host.runtimes),
  };
}

function namespacesOf(spec: containerV1.ContainerSpec, shared: Shared | undefined): NamespacesPlan {
  const owns = (mode: string): NamespaceMode => (mode === 'host' ? { mode: 'host' } : PRIVATE);
  return {
    pid: owns(spec.pidMode),
    net: owns(spec.network?.mode ?? ''),
    ipc: owns(spec.ipcMode),
    uts: owns(spec.utsMode),
    cgroup: owns(spec.cgroupnsMode),
    ...shared?.namespaces,
  };
}

/** The cgroup of a container, the same in every hierarchy. */
export function cgroupPathOf(
  { id, spec }: Pick<containerV1.ContainerRecord, 'id' | 'spec'>,
  host: { readonly cgroupParent: string },
): string {
  const own = spec?.cgroupParent ? `/${checkedParent(spec.cgroupParent)}` : '';
  return `${host.cgroupParent === '/' ? '' : host.cgroupParent}${own}/${id}`;
}

/** The gateway has checked it; what runs as root looks again that nothing leads out of this host's own group. */
function checkedParent(path: string): string {
  if (/^[A-Za-z0-9_]/.test(path) && !path.split('/').some((name) => name === '' || name === '.' || name === '..'))
    return path;
  throw invalidArgument(`CgroupParent "${path}" is not a path below the group of this host's containers`);
}

/** The names a container has: its own, else the first twelve digits of its id; the host's on the host's network. */
export function hostnames(
  record: containerV1.ContainerRecord,
  host: { readonly hostname: string },
): { readonly hostname: string; readonly domainname?: string } {
  const network = record.spec?.network;
  const fallback = network?.mode === 'host' ? host.hostname : record.id.slice(0, 12);
  const hostname = network?.hostname || fallback;
  return network?.domainname ? { hostname, domainname: network.domainname } : { hostname };
}

function allMounts(
  spec: containerV1.ContainerSpec,
  privileged: boolean,
  parts: PlanParts,
  host: PlanHost,
): readonly MountPlan[] {
  const shmBytes = spec.shmSize > 0n ? Number(spec.shmSize) : DEFAULT_SHM;
  const shm = {
    ...(spec.ipcMode === 'host' ? { shmSource: '/dev/shm' } : {}),
    joinsShm: parts.shared?.namespaces.ipc !== undefined,
  };
  const { labels } = parts;
  const ofOthers = parts.shared?.filesOf !== undefined;
  const writableCgroups = spec.security?.writableCgroups ?? false;
  const own = [
    ...defaultMounts({ privileged, writableCgroups, shmBytes, ...shm }),
    ...identityMounts(parts.files, ofOthers ? labels?.shared : labels?.mount),
  ];
  if (spec.init) own.push(initMount(host.init, labels));
  // A mount given by the user takes the place of ours at the same path.
  const given = new Set(parts.mounts.map(({ target }) => target));
  const kept = own.filter(({ target }) => !given.has(target) && !(spec.ipcMode === 'none' && target === '/dev/shm'));
  // Parents first: what is mounted later would otherwise be hidden by what it lies in.
  const depth = ({ target }: MountPlan): number => target.split('/').filter(Boolean).length;
  return [...kept, ...parts.mounts].sort((a, b) => depth(a) - depth(b));
}

function initMount(source: string, labels: Labels | undefined): MountPlan {
  const flags = ['ro', 'nosuid', 'nodev'] as const;
  return {
    kind: 'bind',
    source,
    target: INIT_TARGET,
    flags,
    recursive: false,
    propagation: 'rprivate',
    idmapped: true,
    ...(labels === undefined ? {} : { relabel: { label: labels.shared, when: 'once' } }),
  };
}

/** One node at a path: the user's own choice first, then ours, then the host's. */
function deviceNodes(own: readonly DeviceNode[], ofHost: readonly DeviceNode[]): readonly DeviceNode[] {
  return [...new Map([...ofHost, ...DEFAULT_DEVICES, ...own].map((node) => [node.path, node])).values()];
}
