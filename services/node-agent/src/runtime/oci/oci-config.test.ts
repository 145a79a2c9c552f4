import { describe, expect, test } from 'vitest';
import { capabilitySets, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { DEFAULT_DEVICE_RULES, DEFAULT_DEVICES, defaultMounts } from '../default-mounts.ts';
import { type ContainerPlan, DEFAULT_LOG_LIMITS, type MountPlan } from '../plan.ts';
import { ociConfig } from './oci-config.ts';
import { ociJson } from './oci-json.ts';
import { ociDeviceRules, ociResources } from './oci-resources.ts';
import { ociDefaultSeccomp, ociProfileSeccomp } from './oci-seccomp.ts';

const PRIVATE = { mode: 'private' } as const;

function plan(changes: Partial<ContainerPlan> = {}): ContainerPlan {
  return {
    id: 'c1',
    process: {
      argv: ['true'],
      env: [],
      cwd: '/',
      user: { kind: 'docker', user: '' },
      stdin: 'null',
      rlimits: [],
      capabilities: capabilitySets(DOCKER_CAPABILITIES),
      noNewPrivileges: false,
    },
    namespaces: { pid: PRIVATE, net: PRIVATE, ipc: PRIVATE, uts: PRIVATE, cgroup: PRIVATE },
    root: { kind: 'directory', path: '/r', readonly: false },
    mounts: [],
    devices: DEFAULT_DEVICES,
    devLinks: [],
    maskedPaths: ['/proc/kcore'],
    readonlyPaths: ['/proc/sys'],
    sysctls: {},
    cgroup: { path: '/a/c1', limits: {}, deviceRules: DEFAULT_DEVICE_RULES },
    log: { directory: '/b/log', ...DEFAULT_LOG_LIMITS },
    ...changes,
  };
}

function config(changes: Partial<ContainerPlan> = {}): Record<string, never> {
  const details = { bundle: '/b', user: { uid: 1, gid: 2, groups: [3] }, seccomp: undefined, annotations: { a: 'b' } };
  return JSON.parse(ociConfig(plan(changes), details).toString()) as Record<string, never>;
}

const process = plan().process;
const bind = (more: Partial<MountPlan & { readonly kind: 'bind' }>): MountPlan => ({
  kind: 'bind',
  source: '/host',
  target: '/t',
  flags: [],
  recursive: false,
  propagation: 'rprivate',
  ...more,
});

describe('a plan as an OCI config', () => {
  test.each([
    ['the user in numbers', {}, { process: { user: { uid: 1, gid: 2, additionalGids: [3] } } }],
    [
      'a terminal with its size',
      { process: { ...process, tty: { rows: 3, cols: 4 } } },
      { process: { terminal: true, consoleSize: { height: 3, width: 4 } } },
    ],
    ['an AppArmor profile', { process: { ...process, apparmor: 'web' } }, { process: { apparmorProfile: 'web' } }],
    ['an SELinux label', { process: { ...process, selinux: 'u:r:t:s0' } }, { process: { selinuxLabel: 'u:r:t:s0' } }],
    ['the label of its files', { mountLabel: 'u:r:t:s0' }, { linux: { mountLabel: 'u:r:t:s0' } }],
    ['no terminal', {}, { process: { terminal: false, oomScoreAdj: 0 } }],
    ['what is asked of the OOM killer', { process: { ...process, oomScoreAdj: -5 } }, { process: { oomScoreAdj: -5 } }],
    [
      'capabilities by name',
      {},
      { process: { capabilities: { bounding: expect.arrayContaining(['CAP_CHOWN', 'CAP_SETFCAP']), ambient: [] } } },
    ],
    ['a domain name', { domainname: 'lab' }, { linux: { sysctl: { 'kernel.domainname': 'lab' } } }],
    ['the group', {}, { linux: { cgroupsPath: '/a/c1', maskedPaths: ['/proc/kcore'], readonlyPaths: ['/proc/sys'] } }],
    ['notes', {}, { annotations: { a: 'b' }, root: { path: 'rootfs', readonly: false }, ociVersion: '1.0.2' }],
    [
      'a bind of what the shim has ready',
      { mounts: [bind({ recursive: true, flags: ['ro'] })] },
      { mounts: [{ destination: '/t', type: 'bind', source: '/b/mounts/0', options: ['rbind', 'rprivate', 'ro'] }] },
    ],
    [
      'a view of an image',
      { mounts: [{ kind: 'image', lowers: ['/l'], target: '/i', flags: ['ro'] }] },
      { mounts: [{ type: 'bind', source: '/b/mounts/0' }] },
    ],
    [
      'a tmpfs',
      {
        mounts: [
          {
            kind: 'tmpfs',
            target: '/x',
            flags: ['nosuid'],
            options: [
              ['size', '1k'],
              ['noswap', ''],
            ],
          },
        ],
      },
      { mounts: [{ type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'size=1k', 'noswap'] }] },
    ],
    [
      'a root that gets later mounts',
      { mounts: [bind({ propagation: 'rslave' })] },
      { linux: { rootfsPropagation: 'rslave' } },
    ],
    [
      'a root that shares its mounts',
      { mounts: [bind({ propagation: 'shared' }), bind({ propagation: 'slave' })] },
      { linux: { rootfsPropagation: 'shared' } },
    ],
    ['a root of its own', { mounts: [bind({})] }, { linux: { rootfsPropagation: 'rprivate' } }],
  ] as [string, Partial<ContainerPlan>, object][])('has %s', (_name, changes, wanted) => {
    expect(config(changes)).toMatchObject(wanted);
  });

  test.each([
    ['of its own', PRIVATE, [{ type: 'ipc' }], [{ type: 'network', path: '/b/ns/net' }]],
    ['of the host', { mode: 'host' } as const, [], []],
    [
      'of another one',
      { mode: 'join', process: { pid: 1, startTicks: 2n } } as const,
      [{ type: 'ipc', path: '/b/ns/ipc' }],
      [{ type: 'network', path: '/b/ns/net' }],
    ],
  ])('namespaces %s', (_name, mode, ipc, network) => {
    const namespaces = { pid: PRIVATE, uts: PRIVATE, cgroup: PRIVATE, ipc: mode, net: mode };
    const { linux } = config({ namespaces }) as unknown as { linux: { namespaces: { type: string }[] } };
    const of = (type: string) => linux.namespaces.filter((item) => item.type === type);
    expect([of('ipc'), of('network'), of('mount')]).toEqual([ipc, network, [{ type: 'mount' }]]);
  });

  test('all default mounts have a form', () => {
    const { mounts } = config({ mounts: defaultMounts({ privileged: false, shmBytes: 1 }) }) as unknown as {
      mounts: { type: string; destination: string }[];
    };
    expect(mounts.map(({ type, destination }) => `${type} ${destination}`)).toEqual([
      'proc /proc',
      'tmpfs /dev',
      'devpts /dev/pts',
      'sysfs /sys',
      'cgroup /sys/fs/cgroup',
      'mqueue /dev/mqueue',
      'tmpfs /dev/shm',
    ]);
  });

  test('numbers beyond 2^53 are exact', () => {
    const rlimits = [{ name: 'core', soft: -1n, hard: -1n }] as const;
    const details = { bundle: '/b', user: { uid: 0, gid: 0, groups: [] }, seccomp: undefined, annotations: {} };
    const text = ociConfig(plan({ process: { ...process, rlimits } }), details).toString();
    expect(text).toContain('{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}');
    expect(ociJson({ a: [9007199254740993n] })).toBe('{"a":[9007199254740993]}');
  });
});

describe('limits', () => {
  test.each([
    ['none', {}, {}],
    ['memory', { memory: 5n, memoryAndSwap: -1n, swappiness: 0 }, { memory: { limit: 5n, swap: -1n, swappiness: 0 } }],
    ['processors', { cpuQuota: 1, cpuPeriod: 2, cpusetCpus: '0-1' }, { cpu: { quota: 1, period: 2, cpus: '0-1' } }],
    ['processes', { pids: -1 }, { pids: { limit: -1 } }],
    [
      'devices',
      {
        blkioWeight: 10,
        blkioDevices: [
          { kind: 'weight', major: 8, minor: 0, rate: 20n },
          { kind: 'readIops', major: 8, minor: 1, rate: 30n },
        ],
      },
      {
        blockIO: {
          weight: 10,
          weightDevice: [{ major: 8, minor: 0, weight: 20 }],
          throttleReadIOPSDevice: [{ major: 8, minor: 1, rate: 30n }],
        },
      },
    ],
  ] as [string, Parameters<typeof ociResources>[0], object][])('%s', (_name, limits, wanted) => {
    expect(ociResources(limits)).toEqual(wanted);
  });

  test('device rules: deny all first, any number left out', () => {
    const rule = { allow: true, type: 'c', major: 136, minor: -1, access: 'rwm' } as const;
    expect(ociDeviceRules([rule])).toEqual([
      { allow: false, access: 'rwm' },
      { allow: true, type: 'c', major: 136, access: 'rwm' },
    ]);
    expect(ociDeviceRules([])).toEqual([{ allow: true, access: 'rwm' }]);
  });
});

describe('seccomp', () => {
  interface Seccomp {
    readonly defaultAction: string;
    readonly architectures: readonly string[];
    readonly syscalls: readonly {
      readonly names: readonly string[];
      readonly action: string;
      readonly errnoRet?: number;
    }[];
  }
  const rulesFor = (policy: unknown, name: string) =>
    (policy as Seccomp).syscalls.filter(({ names }) => names.includes(name));

  test.each([
    ['an ordinary call', [], 'read', ['SCMP_ACT_ALLOW']],
    ['one that needs a capability', [], 'mount', []],
    ['one whose capability is there', ['SYS_ADMIN'], 'mount', ['SCMP_ACT_ALLOW']],
    ['one nobody gets', ['SYS_ADMIN'], 'kexec_load', []],
    ['clone3, for which libraries have another way', [], 'clone3', ['SCMP_ACT_ERRNO']],
    ['clone, but for namespaces', [], 'clone', ['SCMP_ACT_ALLOW']],
  ] as const)('the default: %s', (_name, capabilities, call, actions) => {
    const policy = ociDefaultSeccomp(new Set(capabilities));
    expect(policy).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 });
    expect(rulesFor(policy, call).map(({ action }) => action)).toEqual(actions);
  });

  test('a profile: only what is meant for these capabilities', () => {
    const rule = (name: string, caps: string[]) => ({
      names: [name],
      action: 'SCMP_ACT_ALLOW',
      args: [],
      includes: { caps, arches: [], minKernel: '' },
      excludes: undefined,
      errnoRet: undefined,
      comment: '',
    });
    const profile = {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: 38,
      i386: false,
      rules: [rule('read', []), rule('mount', ['CAP_SYS_ADMIN'])],
    };
    const policy = ociProfileSeccomp(profile, new Set());
    expect(policy).toMatchObject({ defaultErrnoRet: 38, architectures: ['SCMP_ARCH_X86_64'] });
    expect([rulesFor(policy, 'read').length, rulesFor(policy, 'mount').length]).toEqual([1, 0]);
  });
});
