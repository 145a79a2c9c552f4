import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import type { CreateRequest } from './create-request.ts';
import type { HostConfigRequest } from './host-config-request.ts';
import { otherContainer } from './volumes-from.ts';

const PREFIX = 'container:';
const JOINING = ['IpcMode', 'PidMode', 'UTSMode', 'NetworkMode'] as const;

/** Containers whose namespaces a new one joins, by the mode that names them. */
export type JoinedContainers = ReadonlyMap<string, ContainerView>;

/** @throws invalid-argument naming the field whose container does not exist */
export function joinedContainers(host: HostConfigRequest, lookup: ContainerLookup): JoinedContainers {
  const joined = new Map<string, ContainerView>();
  for (const field of JOINING) {
    const mode = host[field] ?? '';
    if (!mode.startsWith(PREFIX)) continue;
    const reference = mode.slice(PREFIX.length);
    if (reference === '') throw invalidArgument(`HostConfig.${field}: invalid container format container:<name|id>`);
    joined.set(mode, otherContainer(reference, field, lookup));
  }
  return joined;
}

/** `container:` with the full id: names change. */
export function joinMode(mode: string, joined: JoinedContainers): string {
  const other = joined.get(mode);
  return other ? `${PREFIX}${other.record.id}` : mode;
}

/** @throws invalid-argument in docker's words */
export function namespacesOf(host: HostConfigRequest, joined: JoinedContainers): Partial<containerV1.ContainerSpec> {
  const ipc = joinMode(host.IpcMode ?? '', joined);
  const pid = joinMode(host.PidMode ?? '', joined);
  const uts = joinMode(host.UTSMode ?? '', joined);
  const user = host.UsernsMode ?? '';
  const isJoin = (mode: string): boolean => mode.startsWith(PREFIX);
  if (!isJoin(ipc) && !['', 'none', 'private', 'shareable', 'host'].includes(ipc)) {
    throw invalidArgument(`Invalid IPC mode: ${ipc}`);
  }
  if (!isJoin(pid) && !['', 'host'].includes(pid)) throw invalidArgument(`Invalid PID mode: ${pid}`);
  if (!isJoin(uts) && !['', 'host'].includes(uts)) throw invalidArgument(`Invalid UTS mode: ${uts}`);
  if (!['', 'host'].includes(user)) {
    throw invalidArgument(`HostConfig.UsernsMode: invalid user namespace mode: ${user}: must be "host" or empty`);
  }
  if (isJoin(ipc) && (host.ShmSize ?? 0) > 0) {
    throw invalidArgument('conflicting options: shm size and an IPC mode of another container');
  }
  return { ipcMode: ipc, pidMode: pid, utsMode: uts, usernsMode: user, cgroupnsMode: host.CgroupnsMode ?? '' };
}

/** What contradicts namespaces that are not the container's own. @throws invalid-argument in docker's words */
export function checkNamespaceConflicts(request: CreateRequest): void {
  const host = request.HostConfig ?? {};
  const given = (value: unknown): boolean =>
    Array.isArray(value) ? value.length > 0 : typeof value === 'object' ? Object.keys(value ?? {}).length > 0 : !!value;
  const refuse = (...[field, what]: readonly [unknown, string]): void => {
    if (given(field)) throw invalidArgument(`conflicting options: ${what}`);
  };
  if ((host.UTSMode ?? '') !== '') refuse(request.Hostname, 'hostname and the UTS mode');
  if (!host.NetworkMode?.startsWith(PREFIX)) return;
  refuse(request.Hostname, 'hostname and the network mode');
  refuse(host.Links, "container type network can't be used with links. This would result in undefined behavior");
  refuse(host.Dns, 'dns and the network mode');
  refuse(host.ExtraHosts, 'custom host-to-IP mapping and the network mode');
  refuse(request.MacAddress, 'mac-address and the network mode');
  refuse(host.PortBindings, 'port publishing and the container type network mode');
  refuse(host.PublishAllPorts, 'port publishing and the container type network mode');
  refuse(request.ExposedPorts, 'port exposing and the container type network mode');
}
