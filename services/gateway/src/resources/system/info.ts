import { nodeV1 } from '@atoll/proto';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { dockerState } from '../container/container-state.ts';
import type { NodeView, SystemBackend } from './backend.ts';

/** GET /info: one engine made of all hosts. */
export function systemInfo(backend: SystemBackend): Handler {
  return async ({ response, signal }) => {
    const nodes = backend.nodes();
    // The store may be away while containers run on: its count is then unknown, the rest is not.
    const images = await backend.storeUsage(signal).then(
      (usage) => usage.images.length,
      () => undefined,
    );
    sendJson(response, 200, infoObject(backend, nodes, images));
  };
}

function infoObject(backend: SystemBackend, nodes: readonly NodeView[], images: number | undefined): unknown {
  const states = backend.list().map(dockerState);
  const count = (...wanted: readonly string[]): number => states.filter((state) => wanted.includes(state)).length;
  const facts = nodes.map(({ record }) => record.facts).filter((fact) => fact !== undefined);
  const [first] = facts;
  const same = (pick: (fact: nodeV1.NodeFacts) => string): string => [...new Set(facts.map(pick))].sort().join(', ');
  const runtimes = facts.flatMap((fact) => fact.runtimes).reverse();
  return {
    ID: backend.clusterId(),
    Containers: states.length,
    ContainersRunning: count('running', 'restarting'),
    ContainersPaused: count('paused'),
    ContainersStopped: count('created', 'exited', 'dead', 'removing'),
    Images: images ?? 0,
    Driver: 'overlay2',
    DriverStatus: hostRows(nodes),
    DockerRootDir: first?.dataRoot ?? '',
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'macvlan', 'null', 'overlay'],
      Authorization: null,
      Log: ['json-file', 'local'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: true,
    OomKillDisable: facts.every((fact) => fact.cgroupMode !== 'v2'),
    Debug: false,
    NFd: 0,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: facts.length > 0 && facts.every((fact) => fact.cgroupMode === 'v2') ? '2' : '1',
    NEventsListener: 0,
    KernelVersion: same((fact) => fact.kernelVersion),
    OperatingSystem: same((fact) => fact.operatingSystem),
    OSVersion: '',
    OSType: 'linux',
    Architecture: machineName(first?.architecture ?? ''),
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: {
      InsecureRegistryCIDRs: ['127.0.0.0/8'],
      IndexConfigs: { 'docker.io': { Name: 'docker.io', Mirrors: [], Secure: true, Official: true } },
      Mirrors: [],
    },
    NCPU: Math.floor(facts.reduce((sum, fact) => sum + Number(fact.nanoCpus), 0) / 1e9),
    MemTotal: facts.reduce((sum, fact) => sum + Number(fact.memoryBytes), 0),
    GenericResources: null,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: 'atoll',
    Labels: nodes.map(
      ({ record }) => `atoll.node.${record.facts?.hostname ?? record.id}=${record.facts?.hostIp ?? ''}`,
    ),
    ExperimentalBuild: false,
    ServerVersion: SERVER_VERSION,
    // One of the hosts that have it: they may have it in different places.
    Runtimes: Object.fromEntries([
      [DEFAULT_RUNTIME, { path: 'atoll-shim' }],
      ...runtimes.map(({ name, path }) => [name, { path }]),
    ]),
    DefaultRuntime: DEFAULT_RUNTIME,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'atoll-init',
    ContainerdCommit: { ID: '' },
    RuncCommit: { ID: '' },
    InitCommit: { ID: '' },
    SecurityOptions: [
      ...(facts.some((fact) => fact.apparmor?.enabled) ? ['name=apparmor'] : []),
      ...(facts.some((fact) => fact.selinux?.enabled) ? ['name=selinux'] : []),
      'name=seccomp,profile=builtin',
      'name=cgroupns',
      ...(facts.some((fact) => fact.usernsRemap) ? ['name=userns'] : []),
    ],
    ProductLicense: 'Apache-2.0',
    DefaultAddressPools: nodes
      .filter(({ record }) => record.containerSubnet !== '')
      .map(({ record }) => ({ Base: record.containerSubnet, Size: Number(record.containerSubnet.split('/')[1]) })),
    CDISpecDirs: [],
    Warnings: warnings(nodes, images),
  };
}

/** The version clients see; the API version is what they negotiate by. */
export const SERVER_VERSION = '0.1.0';

/** Built into every agent. */
const DEFAULT_RUNTIME = 'native';

/** Rows as Swarm classic had them: the number of hosts, then each host with what it has and runs. */
function hostRows(nodes: readonly NodeView[]): readonly (readonly [string, string])[] {
  return [
    ['Hosts', String(nodes.length)],
    ...nodes.flatMap(({ record, status }): [string, string][] => {
      const { facts } = record;
      const gib = (bytes: bigint): string => `${(Number(bytes) / 2 ** 30).toFixed(1)} GiB`;
      const cpus = (nano: bigint): string => (Number(nano) / 1e9).toFixed(1).replace(/\.0$/, '');
      return [
        [` ${facts?.hostname ?? record.id}`, facts?.hostIp || (facts?.address ?? '')],
        ['  └ ID', record.id],
        ['  └ Status', readinessText(status)],
        ['  └ Containers', String(status?.containers ?? 0)],
        ['  └ Reserved CPUs', `${cpus(status?.reservedNanoCpus ?? 0n)} / ${cpus(facts?.nanoCpus ?? 0n)}`],
        ['  └ Reserved Memory', `${gib(status?.reservedMemory ?? 0n)} / ${gib(facts?.memoryBytes ?? 0n)}`],
        ['  └ AppArmor', appArmorText(facts?.apparmor)],
        ['  └ SELinux', selinuxText(facts?.selinux)],
        ['  └ Encryption', facts?.wireguard ? 'wireguard' : `none: ${facts?.noEncryption || 'its agent names none'}`],
        ['  └ Storage limits', facts?.storageLimits || `none: ${facts?.noStorageLimits || 'its agent names none'}`],
      ];
    }),
  ];
}

/** What confines containers that name no profile, or why nothing does. */
function appArmorText(facts: nodeV1.AppArmor | undefined): string {
  return facts?.defaultProfile || `none: ${facts?.missing || 'its agent names none'}`;
}

function selinuxText(facts: nodeV1.SELinux | undefined): string {
  return facts?.enabled ? 'labels of container_t' : `none: ${facts?.missing || 'its agent names none'}`;
}

function isReady(status: nodeV1.NodeStatus | undefined): boolean {
  return status?.readiness === nodeV1.NodeReadiness.READY;
}

function readinessText(status: nodeV1.NodeStatus | undefined): string {
  if (isReady(status)) return 'Healthy';
  return `Down${status?.message ? `: ${status.message}` : ''}`;
}

function warnings(nodes: readonly NodeView[], images: number | undefined): readonly string[] {
  return [
    ...(nodes.length === 0 ? ['WARNING: no host has joined this cluster'] : []),
    ...nodes
      .filter(({ status }) => !isReady(status))
      .map(({ record }) => `WARNING: host ${record.facts?.hostname ?? record.id} is down`),
    ...(images === undefined ? ['WARNING: the image store does not answer'] : []),
  ];
}

/** uname's machine for Go's architecture. */
function machineName(architecture: string): string {
  const names: Readonly<Record<string, string>> = { amd64: 'x86_64', arm64: 'aarch64' };
  return Object.hasOwn(names, architecture) ? (names[architecture] ?? '') : architecture;
}
