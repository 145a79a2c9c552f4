import { defaultBridgeOf, formatRfc3339Nano } from '@atoll/docker-api';
import type { networkV1 } from '@atoll/proto';
import { currentStatus, isRunning } from '../container/container-state.ts';
import type { ContainerView } from '../container/container-view.ts';
import { builtInNetworkOf } from '../container/networks-view.ts';
import type { NetworkBackend } from './backend.ts';
import type { NetworkView, NodeNetwork } from './network-view.ts';

type Backend = Pick<NetworkBackend, 'list' | 'nodeNetworks' | 'clusterSinceNs'>;

/** A network in a list: without its containers, as docker has it since API 1.28. */
export function networkSummary(backend: Backend, view: NetworkView): Record<string, unknown> {
  return view.record ? userNetwork(view, view.record, {}) : builtInNetwork(backend, view, {});
}

/**
 * Answer of GET /networks/{id}: containers of all hosts, those that run.
 * @param nodeId of the container that asks: the default bridge it means is that of its host
 */
export function networkObject(backend: Backend, view: NetworkView, nodeId?: string): Record<string, unknown> {
  const members = backend.list().filter(isRunning);
  const { record } = view;
  if (!record) {
    const inside = members.filter(
      (member) => builtInNetworkOf(member) === view.name && !member.spec.network?.networkDisabled,
    );
    return builtInNetwork(
      backend,
      view,
      Object.fromEntries(inside.map((member) => [member.record.id, bridgeMember(member)])),
      nodeId,
    );
  }
  const inside = members.flatMap((member) => {
    const endpoint = member.record.endpoints.find(({ networkId }) => networkId === view.id);
    return endpoint ? [{ member, endpoint }] : [];
  });
  const containers = inside.map(({ member, endpoint }) => [member.record.id, userMember(member, endpoint)] as const);
  const peers = new Map(inside.map(({ member: { node } }) => [node?.facts?.hostname ?? '', node?.facts?.hostIp ?? '']));
  return {
    ...userNetwork(view, record, Object.fromEntries(containers)),
    Peers: [...peers].sort().map(([Name, IP]) => ({ Name, IP })),
  };
}

function userNetwork(
  { id, name, driver, scope }: NetworkView,
  record: networkV1.NetworkRecord,
  containers: Record<string, unknown>,
): Record<string, unknown> {
  return {
    Name: name,
    Id: id,
    Created: formatRfc3339Nano(record.createdAtNs),
    Scope: scope,
    Driver: driver,
    EnableIPv4: record.ipv4,
    EnableIPv6: record.ipv6,
    IPAM: {
      Driver: record.ipamDriver || 'default',
      Options: Object.keys(record.ipamOptions).length === 0 ? null : record.ipamOptions,
      Config: record.subnets.map(({ cidr, ipRange, gateway, auxAddresses }) => ({
        Subnet: cidr,
        ...(ipRange === '' ? {} : { IPRange: ipRange }),
        ...(gateway === '' ? {} : { Gateway: gateway }),
        ...(Object.keys(auxAddresses).length === 0 ? {} : { AuxiliaryAddresses: auxAddresses }),
      })),
    },
    Internal: record.internal,
    Attachable: record.attachable,
    Ingress: record.ingress,
    ConfigFrom: { Network: record.configFrom },
    ConfigOnly: record.configOnly,
    Containers: containers,
    Options: record.options,
    Labels: record.labels,
  };
}

function builtInNetwork(
  backend: Backend,
  { id, name, driver, scope }: NetworkView,
  containers: Record<string, unknown>,
  asking?: string,
): Record<string, unknown> {
  const blocks = name === 'bridge' ? backend.nodeNetworks().filter(({ subnet }) => subnet !== '') : [];
  const subnets = blocks.toSorted((a, b) => Number(b.nodeId === asking) - Number(a.nodeId === asking));
  return {
    Name: name,
    Id: id,
    Created: formatRfc3339Nano(backend.clusterSinceNs()),
    Scope: scope,
    Driver: driver,
    EnableIPv4: true,
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: null, Config: subnets.map((block) => blockConfig(block, asking)) },
    Internal: false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: containers,
    Options: Object.fromEntries(subnets.map(({ hostname, subnet }) => [`atoll.subnet.${hostname}`, subnet])),
    Labels: {},
  };
}

/**
 * The gateway, which is the first address of a block, is told only to those behind it: clients take the first one they are told for the
 * address of their own host, as dockerd has no other.
 */
function blockConfig({ nodeId, subnet }: NodeNetwork, asking: string | undefined): Record<string, unknown> {
  if (nodeId !== asking) return { Subnet: subnet };
  const [network = ''] = subnet.split('/');
  return { Subnet: subnet, Gateway: network.replace(/\d+$/, (byte) => String(Number(byte) + 1)) };
}

function bridgeMember(view: ContainerView): Record<string, unknown> {
  const status = currentStatus(view);
  return {
    Name: view.spec.name,
    EndpointID: defaultBridgeOf(view.record)?.endpointId || view.record.id,
    MacAddress: status?.macAddress ?? '',
    IPv4Address: status?.ipAddress ? `${status.ipAddress}/${status.ipPrefixLen}` : '',
    IPv6Address: '',
  };
}

function userMember({ spec }: ContainerView, endpoint: networkV1.Endpoint): Record<string, unknown> {
  const { ipv4Address, ipv4PrefixLength, ipv6Address, ipv6PrefixLength } = endpoint;
  return {
    Name: spec.name,
    EndpointID: endpoint.endpointId,
    MacAddress: endpoint.macAddress,
    IPv4Address: ipv4Address === '' ? '' : `${ipv4Address}/${ipv4PrefixLength}`,
    IPv6Address: ipv6Address === '' ? '' : `${ipv6Address}/${ipv6PrefixLength}`,
  };
}
