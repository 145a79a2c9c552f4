import { randomBytes, randomInt } from 'node:crypto';
import { defaultBridgeOf, isEncrypted } from '@atoll/docker-api';
import { containerV1, networkV1, nodeV1 } from '@atoll/proto';
import type { TestHost } from './test-host.ts';

type NetworkWish = Parameters<typeof networkV1.NetworkRecord.fromPartial>[0];
type EndpointWish = Parameters<typeof networkV1.EndpointSpec.fromPartial>[0];

/** The scheduler's part in networks, done by hand: gives addresses, and tells each host its networks' members. */
export class TestNetworks {
  readonly #hosts: readonly TestHost[];
  readonly #networks = new Map<
    string,
    { record: networkV1.NetworkRecord; members: Map<string, networkV1.Member>; next: number }
  >();

  constructor(hosts: readonly TestHost[]) {
    this.#hosts = hosts;
  }

  /** @param next the last part of the first address that is given */
  create(wish: NetworkWish = {}, next = 2): networkV1.NetworkRecord {
    const id = randomBytes(32).toString('hex');
    const block = randomInt(256);
    const record = networkV1.NetworkRecord.fromPartial({
      id,
      name: `net-${id.slice(0, 6)}`,
      driver: 'bridge',
      ipv4: true,
      subnets: [{ cidr: `10.216.${block}.0/24`, gateway: wish.internal ? '' : `10.216.${block}.1` }],
      vni: randomInt(1, 2 ** 24),
      ...wish,
    });
    this.#networks.set(id, { record, members: new Map(), next });
    return record;
  }

  /** The container's record with one more endpoint; every host is told. */
  connect(
    container: containerV1.ContainerRecord,
    network: networkV1.NetworkRecord,
    asked: EndpointWish = {},
  ): containerV1.ContainerRecord {
    const place = this.#place(network.id);
    const number = place.next++;
    const [v4, v6] = [4, 6].map((version) =>
      network.subnets.find(({ cidr }) => cidr.includes(':') === (version === 6)),
    );
    const used = container.endpoints.length + (defaultBridgeOf(container) ? 1 : 0);
    const endpoint = networkV1.Endpoint.fromPartial({
      networkId: network.id,
      endpointId: randomBytes(32).toString('hex'),
      asked: { network: network.name, ...asked },
      ...(v4 && {
        ipv4Address: v4.cidr.replace(/\d+\/\d+$/, String(number)),
        ipv4PrefixLength: Number(v4.cidr.split('/')[1]),
        ipv4Gateway: v4.gateway,
      }),
      ...(v6 && {
        ipv6Address: v6.cidr.replace(/::\/\d+$/, `::${number.toString(16)}`),
        ipv6PrefixLength: Number(v6.cidr.split('/')[1]),
        ipv6Gateway: v6.gateway,
      }),
      macAddress: `02:42:${randomBytes(4).toString('hex').match(/../g)?.join(':')}`,
      interfaceName: `eth${used}`,
      driver: network.driver,
    });
    const member = networkV1.Member.fromPartial({
      containerId: container.id,
      ipv4Address: endpoint.ipv4Address,
      ipv6Address: endpoint.ipv6Address,
      macAddress: endpoint.macAddress,
      names: [container.spec?.name ?? '', container.id.slice(0, 12), ...(endpoint.asked?.aliases ?? [])],
      running: true,
    });
    this.put(network, { ...member, ...this.#host(container.nodeId, network) });
    return { ...container, generation: container.generation + 1n, endpoints: [...container.endpoints, endpoint] };
  }

  disconnect(container: containerV1.ContainerRecord, network: networkV1.NetworkRecord): containerV1.ContainerRecord {
    this.#place(network.id).members.delete(container.id);
    this.#tell(network.id, { gone: [container.id] });
    const endpoints = container.endpoints.filter(({ networkId }) => networkId !== network.id);
    return { ...container, generation: container.generation + 1n, endpoints };
  }

  /** A member as it is from now on. */
  put(network: networkV1.NetworkRecord, member: networkV1.Member): void {
    this.#place(network.id).members.set(member.containerId, member);
    this.#tell(network.id, { members: [member] });
  }

  member(network: networkV1.NetworkRecord, containerId: string): networkV1.Member {
    return this.#place(network.id).members.get(containerId) as networkV1.Member;
  }

  /** Its members hear of what their hosts said last. */
  retell(network: networkV1.NetworkRecord): void {
    for (const member of [...this.#place(network.id).members.values()]) {
      this.put(network, { ...member, ...this.#host(member.nodeId, network) });
    }
  }

  /** The container is of another host now, with the addresses it had. */
  move(container: containerV1.ContainerRecord, to: TestHost): containerV1.ContainerRecord {
    for (const { networkId } of container.endpoints) {
      const { record, members } = this.#place(networkId);
      const member = members.get(container.id);
      if (member) this.put(record, { ...member, ...this.#host(to.nodeId, record) });
    }
    // Each host has a registry of its own here.
    const spec = containerV1.ContainerSpec.fromPartial({
      ...container.spec,
      image: { reference: 'busybox', layers: [to.layer] },
    });
    return { ...container, spec, nodeId: to.nodeId, generation: container.generation + 1n };
  }

  /** The network goes from all hosts. */
  remove(network: networkV1.NetworkRecord): void {
    this.#networks.delete(network.id);
    for (const { scheduler } of this.#hosts) {
      scheduler.networks.delete(network.id);
      scheduler.tell(networkV1.NetworkState.fromPartial({ network, complete: true, unused: true }));
    }
  }

  #tell(id: string, change: Parameters<typeof networkV1.NetworkState.fromPartial>[0]): void {
    const { record, members } = this.#place(id);
    const whole = networkV1.NetworkState.fromPartial({
      network: record,
      complete: true,
      members: [...members.values()],
    });
    for (const { scheduler } of this.#hosts) {
      const known = scheduler.networks.has(id);
      scheduler.networks.set(id, whole);
      scheduler.tell(known ? networkV1.NetworkState.fromPartial({ network: record, ...change }) : whole);
    }
  }

  #place(id: string) {
    const place = this.#networks.get(id);
    if (!place) throw new Error(`there is no network ${id}`);
    return place;
  }

  #host(nodeId: string, network: networkV1.NetworkRecord): Pick<networkV1.Member, 'nodeId' | 'hostIp' | 'wireguard'> {
    const host = this.#hosts.find((one) => one.nodeId === nodeId);
    const wireguard = isEncrypted(network) ? host?.scheduler.hello?.facts?.wireguard : undefined;
    return { nodeId, hostIp: host?.overlayIp ?? '', wireguard };
  }
}

/** Has an agent follow the endpoints of a container that runs. */
export async function reconnect(host: TestHost, record: containerV1.ContainerRecord): Promise<void> {
  await host.scheduler.order({ action: nodeV1.Action.CONNECT, record });
}
