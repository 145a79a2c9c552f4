/** Record tags of the plan; the C side has the same table in `native/src/plan.h`. */
export const PLAN_TAG = {
  id: 1,
  arg: 2,
  env: 3,
  cwd: 4,
  user: 5,
  ids: 6,
  group: 7,
  groupName: 8,
  tty: 9,
  stdin: 10,
  rlimit: 11,
  caps: 12,
  noNewPrivileges: 13,
  seccomp: 14,
  oomScoreAdj: 15,
  umask: 16,
  namespace: 17,
  hostname: 18,
  domainname: 19,
  lower: 20,
  upper: 21,
  work: 22,
  rootDirectory: 23,
  rootReadonly: 24,
  mount: 25,
  device: 26,
  link: 27,
  mask: 28,
  readonlyPath: 29,
  sysctl: 30,
  cgroup: 31,
  limit: 32,
  limitText: 33,
  deviceRule: 34,
  blkio: 35,
  network: 36,
  log: 37,
  target: 38,
  mountLower: 39,
  mountSubpath: 40,
  runtime: 41,
  runtimeExec: 42,
  runtimeResources: 43,
  idMap: 44,
  mountIdmapped: 45,
  apparmor: 46,
  storageLimit: 47,
  endpoint: 50,
  gateway: 51,
  endpointSysctl: 52,
  dns: 53,
  api: 54,
  binding: 55,
  macvlan: 56,
  selinux: 57,
  mountLabel: 58,
  mountRelabel: 59,
  layerLabel: 60,
} as const;

export const PLAN_MAGIC = 0x4c505441;
export const PLAN_VERSION = 1;

export const NAMESPACE_KIND = { pid: 1, net: 2, ipc: 3, uts: 4, cgroup: 5, user: 6 } as const;
export const NAMESPACE_MODE = { host: 0, private: 1, join: 2, path: 3 } as const;
export const MOUNT_KIND = {
  bind: 1,
  proc: 2,
  sysfs: 3,
  tmpfs: 4,
  dev: 5,
  devpts: 6,
  mqueue: 7,
  cgroup: 8,
  image: 9,
  shm: 10,
} as const;
/** When a bind's source is relabelled. */
export const RELABEL = { always: 1, once: 2 } as const;

export const REACH = { one: 0, recursive: 1, recursiveTop: 2 } as const;
export const PROPAGATION = { private: 0, rprivate: 1, slave: 2, rslave: 3, shared: 4, rshared: 5 } as const;
export const STDIN_MODE = { null: 0, open: 1, once: 2 } as const;

/** `MOUNT_ATTR_*` of linux/mount.h. */
export const MOUNT_ATTR = {
  ro: 0x1n,
  nosuid: 0x2n,
  nodev: 0x4n,
  noexec: 0x8n,
  noatime: 0x10n,
  strictatime: 0x20n,
  nodiratime: 0x80n,
} as const;

export const LIMIT_KIND = {
  memory: 1,
  memoryAndSwap: 2,
  memoryReservation: 3,
  swappiness: 4,
  oomKillDisable: 5,
  cpuShares: 6,
  cpuQuota: 7,
  cpuPeriod: 8,
  pids: 9,
  blkioWeight: 10,
  cpuRealtimePeriod: 11,
  cpuRealtimeRuntime: 12,
} as const;
export const LIMIT_TEXT_KIND = { cpusetCpus: 1, cpusetMems: 2 } as const;
export const BLKIO_KIND = { readBps: 1, writeBps: 2, readIops: 3, writeIops: 4, weight: 5 } as const;

/** `RLIMIT_*` of asm-generic/resource.h. */
export const RLIMIT_NUMBER = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;
