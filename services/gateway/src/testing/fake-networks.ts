import { alreadyExists, failedPrecondition, invalidArgument, notFound } from '@atoll/errors';
import { type containerV1, networkV1 } from '@atoll/proto';
import type { Handlers } from '@atoll/rpc';

export interface FakeRecords {
  record(id: string): containerV1.ContainerRecord;
  /** Stores it, and lets the mirrors hear of it a moment later. */
  replace(record: containerV1.ContainerRecord): containerV1.ContainerRecord;
  isRunning(id: string): boolean;
  list(): Iterable<containerV1.ContainerRecord>;
}

/** Networks of a pretended scheduler: each network has a /24, addresses are counted up. */
export class FakeNetworks {
  readonly networks = new Map<string, networkV1.NetworkRecord>();
  /** Requests as they came. */
  readonly created: networkV1.NetworkRecord[] = [];
  readonly connected: networkV1.ConnectContainerRequest[] = [];
  readonly #records: FakeRecords;
  #revision = 1_000n;
  #next = 2;

  constructor(records: FakeRecords) {
    this.#records = records;
  }

  endpoints(spec: containerV1.NetworkSpec | undefined): networkV1.Endpoint[] {
    return (spec?.endpoints ?? []).map((asked, at) => {
      const network = [...this.networks.values()].find(
        ({ id, name }) => id === asked.network || name === asked.network,
      );
      if (!network) throw invalidArgument(`network ${asked.network} not found`);
      return this.#endpoint(network, asked, at);
    });
  }

  readonly handlers: Handlers<networkV1.NetworkServiceService> = {
    createNetwork: async ({ network }) => {
      if (!network) throw invalidArgument('want a network');
      this.created.push(network);
      if ([...this.networks.values()].some(({ name }) => name === network.name)) {
        throw alreadyExists(`network with name ${network.name} already exists`);
      }
      const subnets = network.subnets.length > 0 ? network.subnets : [{ cidr: '10.9.0.0/24', gateway: '10.9.0.1' }];
      const stored = networkV1.NetworkRecord.fromPartial({
        ...network,
        subnets,
        createdAtNs: BigInt(Date.now()) * 1_000_000n,
        revision: ++this.#revision,
      });
      this.networks.set(stored.id, stored);
      return { network: stored, warning: '' };
    },
    removeNetwork: async ({ id }) => {
      const users = [...this.#records.list()].filter(({ endpoints }) =>
        endpoints.some(({ networkId }) => networkId === id),
      );
      if (users.some((user) => this.#records.isRunning(user.id))) {
        throw failedPrecondition(
          `error while removing network: network ${this.#network(id).name} has active endpoints`,
        );
      }
      this.networks.delete(id);
      return { revision: ++this.#revision };
    },
    connectContainer: async (request) => {
      this.connected.push(request);
      const record = this.#records.record(request.containerId);
      const asked = request.endpoint ?? networkV1.EndpointSpec.fromPartial({});
      const endpoint = this.#endpoint(this.#network(request.networkId), asked, record.endpoints.length + 1);
      return this.#records.replace({ ...record, endpoints: [...record.endpoints, endpoint] });
    },
    disconnectContainer: async ({ networkId, containerId }) => {
      const record = this.#records.record(containerId);
      return this.#records.replace({
        ...record,
        endpoints: record.endpoints.filter((endpoint) => endpoint.networkId !== networkId),
      });
    },
  };

  #endpoint(network: networkV1.NetworkRecord, asked: networkV1.EndpointSpec, at: number): networkV1.Endpoint {
    const number = this.#next++;
    return networkV1.Endpoint.fromPartial({
      networkId: network.id,
      endpointId: number.toString(16).padStart(64, 'e'),
      asked: { ...asked, network: network.name },
      ipv4Address: asked.ipv4Address || `10.9.0.${number}`,
      ipv4PrefixLength: 24,
      ipv4Gateway: '10.9.0.1',
      macAddress: asked.macAddress || '02:42:0a:09:00:02',
      interfaceName: `eth${at}`,
    });
  }

  #network(id: string): networkV1.NetworkRecord {
    const network = this.networks.get(id);
    if (!network) throw notFound(`network ${id} not found`);
    return network;
  }
}
