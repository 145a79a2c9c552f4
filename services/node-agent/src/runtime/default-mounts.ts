import type { DeviceNode, DeviceRule, DevLink, MountPlan } from './plan.ts';

export interface DefaultMountOptions {
  /** Read-write /sys and cgroups, no flags taken away. */
  readonly privileged: boolean;
  /** Read-write cgroups only. */
  readonly writableCgroups?: boolean;
  /** Bytes of /dev/shm; Docker's default is 64 MiB. */
  readonly shmBytes: number;
  /** Host folder to show as /dev/shm instead of a new one (shared IPC). */
  readonly shmSource?: string | undefined;
  /** The shared memory of the container whose ipc namespace is joined. */
  readonly joinsShm?: boolean;
}

/** Docker's mounts below /, /dev and /sys, in order. User mounts come after them. */
export function defaultMounts(options: DefaultMountOptions): readonly MountPlan[] {
  const readonly = options.privileged ? [] : (['ro'] as const);
  const readonlyCgroups = options.writableCgroups ? [] : readonly;
  return [
    { kind: 'proc', target: '/proc', flags: ['nosuid', 'nodev', 'noexec'] },
    {
      kind: 'dev',
      target: '/dev',
      flags: ['nosuid', 'strictatime'],
      options: [
        ['mode', '755'],
        ['size', '65536k'],
      ],
    },
    {
      kind: 'devpts',
      target: '/dev/pts',
      flags: ['nosuid', 'noexec'],
      options: [
        ['ptmxmode', '0666'],
        ['mode', '0620'],
        ['gid', '5'],
      ],
    },
    { kind: 'sysfs', target: '/sys', flags: ['nosuid', 'nodev', 'noexec', ...readonly] },
    { kind: 'cgroup', target: '/sys/fs/cgroup', flags: ['nosuid', 'nodev', 'noexec', ...readonlyCgroups] },
    { kind: 'mqueue', target: '/dev/mqueue', flags: ['nosuid', 'nodev', 'noexec'] },
    shmMount(options),
  ];
}

function shmMount({ shmBytes, shmSource, joinsShm }: DefaultMountOptions): MountPlan {
  const common = { target: '/dev/shm', flags: ['nosuid', 'nodev', 'noexec'] } as const;
  if (joinsShm) return { kind: 'shm', ...common };
  if (shmSource !== undefined) {
    return { kind: 'bind', source: shmSource, recursive: false, propagation: 'rprivate', ...common };
  }
  const options = [
    ['mode', '1777'],
    ['size', String(shmBytes)],
  ] as const;
  return { kind: 'tmpfs', options, ...common };
}

/** Docker's `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: files of the bundle, writable for the container; `label`: of SELinux. */
export function identityMounts(
  files: {
    readonly hosts: string;
    readonly hostname: string;
    readonly resolvConf: string;
  },
  label?: string,
): readonly MountPlan[] {
  const bind = (source: string, target: string): MountPlan => ({
    kind: 'bind',
    source,
    target,
    flags: [],
    recursive: false,
    propagation: 'rprivate',
    idmapped: true,
    ...(label === undefined ? {} : { relabel: { label, when: 'always' } }),
  });
  return [
    bind(files.resolvConf, '/etc/resolv.conf'),
    bind(files.hostname, '/etc/hostname'),
    bind(files.hosts, '/etc/hosts'),
  ];
}

const node = (path: string, major: number, minor: number): DeviceNode => ({
  path,
  type: 'c',
  major,
  minor,
  mode: 0o666,
  uid: 0,
  gid: 0,
});

export const DEFAULT_DEVICES: readonly DeviceNode[] = [
  node('/dev/null', 1, 3),
  node('/dev/zero', 1, 5),
  node('/dev/full', 1, 7),
  node('/dev/random', 1, 8),
  node('/dev/urandom', 1, 9),
  node('/dev/tty', 5, 0),
];

export const DEFAULT_DEV_LINKS: readonly DevLink[] = [
  { path: '/dev/fd', target: '/proc/self/fd' },
  { path: '/dev/stdin', target: '/proc/self/fd/0' },
  { path: '/dev/stdout', target: '/proc/self/fd/1' },
  { path: '/dev/stderr', target: '/proc/self/fd/2' },
  { path: '/dev/ptmx', target: 'pts/ptmx' },
  { path: '/dev/core', target: '/proc/kcore' },
];

const allow = (type: 'b' | 'c', major: number, minor: number, access: string): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

/** Any node may be made, only these may be opened: null zero full random urandom tty console ptmx pts. */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  allow('c', -1, -1, 'm'),
  allow('b', -1, -1, 'm'),
  allow('c', 1, 3, 'rwm'),
  allow('c', 1, 5, 'rwm'),
  allow('c', 1, 7, 'rwm'),
  allow('c', 1, 8, 'rwm'),
  allow('c', 1, 9, 'rwm'),
  allow('c', 5, 0, 'rwm'),
  allow('c', 5, 1, 'rwm'),
  allow('c', 5, 2, 'rwm'),
  allow('c', 136, -1, 'rwm'),
];
