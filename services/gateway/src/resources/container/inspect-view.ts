import { formatRfc3339Nano } from '@atoll/docker-api';
import type { ContainerDetails } from './backend.ts';
import { stateObject } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { hostConfigObject } from './host-config-view.ts';
import { mountPoints } from './mounts-view.ts';
import { builtInEndpoint, builtInNetworkOf, networkName, networksOf } from './networks-view.ts';
import { portMap } from './ports-view.ts';

export interface InspectSizes {
  readonly sizeRw: number;
  readonly sizeRootFs: number;
}

/** Answer of GET /containers/{id}/json. `details` is absent when the node does not answer. */
export function inspectObject(
  view: ContainerView,
  details: ContainerDetails | undefined,
  sizes: InspectSizes | undefined,
): Record<string, unknown> {
  const { record, spec, status, node } = view;
  const argv = [...(spec.process?.entrypoint ?? []), ...(spec.process?.cmd ?? [])];
  const root = node?.facts?.dataRoot ?? '';
  return {
    Id: record.id,
    Created: formatRfc3339Nano(record.createdAtNs),
    Path: argv[0] ?? '',
    Args: argv.slice(1),
    State: stateObject(view, details?.health),
    Image: spec.image?.imageId ?? '',
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: details?.logPath ?? '',
    Name: `/${spec.name}`,
    RestartCount: status?.restartCount ?? 0,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: status?.mountLabel ?? '',
    ProcessLabel: status?.processLabel ?? '',
    AppArmorProfile: status?.apparmorProfile ?? '',
    ExecIDs: details === undefined || details.execIds.length === 0 ? null : details.execIds,
    HostConfig: hostConfigObject(view),
    GraphDriver: {
      Name: 'overlay2',
      Data: { ID: record.id, Root: root === '' ? '' : `${root}/containers/${record.id}` },
    },
    ...(sizes === undefined ? {} : { SizeRw: sizes.sizeRw, SizeRootFs: sizes.sizeRootFs }),
    Mounts: mountPoints(view),
    Config: configObject(view),
    NetworkSettings: networkSettings(view),
    Node: nodeObject(view),
  };
}

function configObject({ spec, node }: ContainerView): Record<string, unknown> {
  const { process, network } = spec;
  return {
    Hostname: network?.hostname ?? '',
    Domainname: network?.domainname ?? '',
    User: process?.user ?? '',
    AttachStdin: process?.attachStdin ?? false,
    AttachStdout: process?.attachStdout ?? false,
    AttachStderr: process?.attachStderr ?? false,
    ...(network?.exposedPorts.length ? { ExposedPorts: setOf(network.exposedPorts) } : {}),
    Tty: process?.tty ?? false,
    OpenStdin: process?.openStdin ?? false,
    StdinOnce: process?.stdinOnce ?? false,
    Env: process?.env ?? [],
    Cmd: process?.cmd.length ? process.cmd : null,
    ...(spec.healthcheck === undefined ? {} : { Healthcheck: healthObject(spec.healthcheck) }),
    Image: spec.image?.reference ?? '',
    Volumes: spec.declaredVolumes.length > 0 ? setOf(spec.declaredVolumes) : null,
    WorkingDir: process?.cwd ?? '',
    Entrypoint: process?.entrypoint.length ? process.entrypoint : null,
    ...(network?.networkDisabled ? { NetworkDisabled: true } : {}),
    ...(network?.macAddress ? { MacAddress: network.macAddress } : {}),
    OnBuild: null,
    Labels: labelsWithNode(spec.labels, node?.facts?.hostname),
    ...(spec.stopSignal === '' ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.stopTimeout === undefined ? {} : { StopTimeout: Number(spec.stopTimeout) }),
  };
}

/** Docker clients see the host of a container as a label. */
export function labelsWithNode(
  labels: Readonly<Record<string, string>>,
  hostname: string | undefined,
): Readonly<Record<string, string>> {
  return hostname === undefined ? labels : { ...labels, 'atoll.node': hostname };
}

function healthObject(check: NonNullable<ContainerView['spec']['healthcheck']>): Record<string, unknown> {
  return {
    Test: check.test,
    Interval: Number(check.interval),
    Timeout: Number(check.timeout),
    StartPeriod: Number(check.startPeriod),
    StartInterval: Number(check.startInterval),
    Retries: Number(check.retries),
  };
}

function networkSettings(view: ContainerView): Record<string, unknown> {
  const name = builtInNetworkOf(view);
  const end = builtInEndpoint(view, name ?? networkName(view));
  const onBridge = name === 'bridge';
  return {
    Bridge: '',
    SandboxID: end['EndpointID'],
    SandboxKey: '',
    Ports: portMap(view),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: onBridge ? end['EndpointID'] : '',
    Gateway: onBridge ? end['Gateway'] : '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPAddress: onBridge ? end['IPAddress'] : '',
    IPPrefixLen: onBridge ? end['IPPrefixLen'] : 0,
    IPv6Gateway: '',
    MacAddress: onBridge ? end['MacAddress'] : '',
    Networks: networksOf(view),
  };
}

/** Swarm classic's `Node` object. */
function nodeObject({ record, node }: ContainerView): Record<string, unknown> {
  const facts = node?.facts;
  return {
    ID: record.nodeId,
    Name: facts?.hostname ?? '',
    IP: facts?.hostIp ?? '',
    Addr: facts?.address ?? '',
    Cpus: Math.round(Number(facts?.nanoCpus ?? 0n) / 1e9),
    Memory: Number(facts?.memoryBytes ?? 0n),
    Labels: facts?.labels ?? {},
  };
}

function setOf(names: readonly string[]): Record<string, object> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}
