import type { EndpointsPlan } from './endpoints-plan.ts';

/**
 * The plan: everything the C shim must do for one container or exec, fully resolved.
 * The shim takes no decision of its own; what is not in the plan does not happen.
 * Wire form: `native/README.md`; written by `encodeContainerPlan` and `encodeExecPlan`.
 */
export interface ContainerPlan {
  readonly id: string;
  readonly process: ProcessPlan;
  readonly namespaces: NamespacesPlan;
  /** Absent: the host's own. */
  readonly userNamespace?: UserNamespacePlan | undefined;
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly root: RootPlan;
  /** SELinux label of all files of the root and of fresh file systems; absent: they have those they have. */
  readonly mountLabel?: string | undefined;
  /** The same of its layers on disk, whose own label counts where programs are mapped. */
  readonly layerLabel?: string | undefined;
  /** Mounted in this order; a target below an earlier target must come later. */
  readonly mounts: readonly MountPlan[];
  readonly devices: readonly DeviceNode[];
  /** Symbolic links made in the container's fresh /dev. */
  readonly devLinks: readonly DevLink[];
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /** Keys in dotted form. The caller has checked them against its allow-list; the shim refuses separators. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly cgroup: CgroupPlan;
  /** Present only with a private network namespace that gets a veth; absent means loopback only. */
  readonly network?: NetworkPlan | undefined;
  /** Links to networks of users, beside that of `network`; only with a private network namespace. */
  readonly endpoints?: EndpointsPlan | undefined;
  /**
   * Path of the agent's socket that carries connections to the cluster's API, relative to the bundle: the shim listens at `docker.sock`
   * in the bundle, for a bind of it.
   */
  readonly api?: string | undefined;
  readonly log: LogPlan;
  /** Path of another OCI runtime, which carries the container out from `config.json` in the bundle; absent: the shim itself. */
  readonly runtime?: string | undefined;
}

/** A process joining a running container. Namespaces and root are those of the target. */
export interface ExecPlan {
  readonly id: string;
  readonly process: ProcessPlan;
  readonly target: ProcessIdentity;
  /** The container's cgroup path, as in its `CgroupPlan`. */
  readonly cgroupPath: string;
  /** For a container of another OCI runtime. */
  readonly runtime?: ExecRuntime | undefined;
}

/** How another OCI runtime is asked for an exec. */
export interface ExecRuntime {
  readonly path: string;
  /** Folder and id of its container. */
  readonly bundle: string;
  readonly container: string;
  /** The same process as JSON of the OCI runtime specification. */
  readonly process: string;
}

/** A pid together with its start time, so that a recycled pid is never taken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, clock ticks since boot. */
  readonly startTicks: bigint;
}

export interface ProcessPlan {
  /** At least one element; looked up in the container's PATH when it has no slash. */
  readonly argv: readonly string[];
  /** `KEY=value` items. HOME is added from the container's passwd when missing. */
  readonly env: readonly string[];
  /** Absolute; created (root, 0755) when missing. */
  readonly cwd: string;
  readonly user: UserPlan;
  readonly tty?: TerminalSize | undefined;
  /**
   * `null`: /dev/null. `open`: stays open when a client leaves. `once`: closes when the first attached
   * client sends its end or leaves (Docker's StdinOnce).
   */
  readonly stdin: 'null' | 'open' | 'once';
  readonly rlimits: readonly Rlimit[];
  readonly capabilities: CapabilitySets;
  readonly noNewPrivileges: boolean;
  /** Classic BPF, 8 bytes an instruction; absent means unconfined. */
  readonly seccomp?: Uint8Array | undefined;
  /** Name of a loaded AppArmor profile, or `unconfined`; absent: the shim's own confinement stays. */
  readonly apparmor?: string | undefined;
  /** SELinux label; absent: what the policy gives to a program that the shim starts. */
  readonly selinux?: string | undefined;
  readonly oomScoreAdj?: number | undefined;
  /** Octal bits; 0o022 when absent. */
  readonly umask?: number | undefined;
}

export interface TerminalSize {
  readonly rows: number;
  readonly cols: number;
}

/**
 * `docker`: a Docker user string (`""`, `name`, `name:group`, `1000`, `1000:1000`), resolved in the
 * container's own /etc/passwd and /etc/group. `ids`: used as they are.
 */
export type UserPlan =
  | { readonly kind: 'docker'; readonly user: string; readonly additionalGroups?: readonly string[] | undefined }
  | {
      readonly kind: 'ids';
      readonly uid: number;
      readonly gid: number;
      readonly groups?: readonly number[] | undefined;
    };

export interface Rlimit {
  readonly name: RlimitName;
  /** -1n means unlimited. */
  readonly soft: bigint;
  readonly hard: bigint;
}

export type RlimitName =
  | 'cpu'
  | 'fsize'
  | 'data'
  | 'stack'
  | 'core'
  | 'rss'
  | 'nproc'
  | 'nofile'
  | 'memlock'
  | 'as'
  | 'locks'
  | 'sigpending'
  | 'msgqueue'
  | 'nice'
  | 'rtprio'
  | 'rttime';

/** Bit n stands for capability number n. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

/** The mount namespace is always private. */
export interface NamespacesPlan {
  readonly pid: NamespaceMode;
  readonly net: NamespaceMode;
  readonly ipc: NamespaceMode;
  readonly uts: NamespaceMode;
  readonly cgroup: NamespaceMode;
}

/** Host ids that the ids from 0 of a user namespace are; at most 2³¹-1. */
export interface IdMap {
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

/**
 * The owner of all private namespaces. With it pid and net are private or joined; what is joined belongs to the joined
 * user namespace, whose ids are `ids`. Layers and `idmapped` binds are shown with its ids, other binds with the host's.
 */
export interface UserNamespacePlan {
  readonly mode: { readonly mode: 'private' } | { readonly mode: 'join'; readonly process: ProcessIdentity };
  readonly ids: IdMap;
}

export type NamespaceMode =
  | { readonly mode: 'private' }
  | { readonly mode: 'host' }
  | { readonly mode: 'join'; readonly process: ProcessIdentity }
  | { readonly mode: 'path'; readonly path: string };

export type RootPlan =
  | {
      readonly kind: 'overlay';
      /** Folders, top layer first; 1 to 128. */
      readonly lowers: readonly string[];
      readonly upper: string;
      readonly work: string;
      readonly readonly: boolean;
      /** Bytes that `upper` may hold; undefined: no limit. */
      readonly storageLimit?: bigint | undefined;
    }
  | { readonly kind: 'directory'; readonly path: string; readonly readonly: boolean };

export type MountFlag = 'ro' | 'nosuid' | 'nodev' | 'noexec' | 'noatime' | 'nodiratime' | 'strictatime';

export type Propagation = 'private' | 'rprivate' | 'slave' | 'rslave' | 'shared' | 'rshared';

/**
 * A file system made anew (`proc` … `cgroup`) or a bind of a host path. `cgroup` is the read-only
 * view of the container's own cgroups, in the host's layout (v1, v2 or hybrid).
 * `shm` is /dev/shm of the process whose ipc namespace is joined.
 * A missing target is created: a folder, or an empty file when the source of a bind is not a folder.
 */
export type MountPlan =
  | {
      readonly kind: 'proc' | 'sysfs' | 'tmpfs' | 'dev' | 'devpts' | 'mqueue' | 'cgroup' | 'shm';
      readonly target: string;
      readonly flags: readonly MountFlag[];
      /** File system options, such as `size=67108864` as `["size", "67108864"]`. */
      readonly options?: readonly (readonly [string, string])[] | undefined;
    }
  | {
      readonly kind: 'bind';
      readonly source: string;
      /** Below the source, resolved inside it. */
      readonly subpath?: string | undefined;
      readonly target: string;
      readonly flags: readonly MountFlag[];
      /** Takes the mounts below the source too; `ro` then holds for them as well, unless `flagsOnTop`. */
      readonly recursive: boolean;
      readonly flagsOnTop?: boolean | undefined;
      readonly propagation: Propagation;
      /** The files are Atoll's own: on disk they have the ids of the container, whatever user namespace it has. */
      readonly idmapped?: boolean | undefined;
      /** The source's files get this SELinux label first; `once`: unless the source itself has it. */
      readonly relabel?: { readonly label: string; readonly when: 'always' | 'once' } | undefined;
    }
  | {
      /** A read-only view of an image. */
      readonly kind: 'image';
      /** Folders, top layer first; 1 to 128. */
      readonly lowers: readonly string[];
      readonly subpath?: string | undefined;
      readonly target: string;
      readonly flags: readonly MountFlag[];
    };

export interface DeviceNode {
  readonly path: string;
  readonly type: 'c' | 'b';
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DevLink {
  readonly path: string;
  readonly target: string;
}

export interface CgroupPlan {
  /** The same path in every hierarchy, absolute, such as `/atoll/h1/<id>`. */
  readonly path: string;
  readonly limits: ResourceLimits;
  /** Applied after "deny all"; the last matching rule wins. Empty: no device restriction (privileged). */
  readonly deviceRules: readonly DeviceRule[];
}

/** Absent fields are left as the kernel has them. */
export interface ResourceLimits {
  /** Bytes; -1n unlimited. */
  readonly memory?: bigint | undefined;
  /** Bytes of memory plus swap (Docker's MemorySwap); -1n unlimited. */
  readonly memoryAndSwap?: bigint | undefined;
  readonly memoryReservation?: bigint | undefined;
  /** 0 to 100, v1 only. */
  readonly swappiness?: number | undefined;
  readonly oomKillDisable?: boolean | undefined;
  /** v1 shares 2 to 262144; mapped to a v2 weight. */
  readonly cpuShares?: number | undefined;
  /** Microseconds in each period; -1 unlimited. */
  readonly cpuQuota?: number | undefined;
  readonly cpuPeriod?: number | undefined;
  /** Microseconds; v1 only, within what the parent group has. */
  readonly cpuRealtimePeriod?: number | undefined;
  readonly cpuRealtimeRuntime?: number | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  /** -1 unlimited. */
  readonly pids?: number | undefined;
  /** 10 to 1000. */
  readonly blkioWeight?: number | undefined;
  readonly blkioDevices?: readonly BlkioDevice[] | undefined;
}

/** A limit of one block device; the host's kernel must have it. */
export interface BlkioDevice {
  readonly kind: 'readBps' | 'writeBps' | 'readIops' | 'writeIops' | 'weight';
  readonly major: number;
  readonly minor: number;
  /** Bytes or operations a second, 0n unlimited; of a weight 10 to 1000. */
  readonly rate: bigint;
}

export interface DeviceRule {
  readonly allow: boolean;
  readonly type: 'a' | 'b' | 'c';
  /** -1 means any. */
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

export interface NetworkPlan {
  readonly bridge: string;
  /** Name of the veth end on the host, at most 15 bytes. */
  readonly hostInterface: string;
  readonly containerInterface: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly gateway?: string | undefined;
  /** `02:42:ac:11:00:02` form. */
  readonly macAddress: string;
  readonly mtu: number;
}

export interface LogPlan {
  /** Folder of the numbered log files, inside the bundle. */
  readonly directory: string;
  readonly maxBytes: bigint;
  readonly maxFiles: number;
}

/** Docker's "local" log driver keeps 20 MB in each of 5 files; so do we. */
export const DEFAULT_LOG_LIMITS = { maxBytes: 20_000_000n, maxFiles: 5 } as const;
