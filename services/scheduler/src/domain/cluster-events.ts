import type { EventBus } from '@atoll/bus';
import { defaultBridgeOf, networkIdOf, networkNameOf } from '@atoll/docker-api';
import type { containerV1, eventV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';

/** Actions that the scheduler itself tells of; an agent's word on them is not taken. */
export const OWN_ACTIONS: ReadonlySet<string> = new Set(
  'create start oom die stop kill restart pause unpause rename update destroy reschedule'.split(' '),
);

/** Docker events of containers, networks and nodes, with Docker's attributes. */
export class ClusterEvents {
  readonly #bus: EventBus;
  readonly #hostname: (nodeId: string) => string;
  readonly #network: (id: string) => networkV1.NetworkRecord | undefined;
  #lastNs = 0n;

  constructor(
    bus: EventBus,
    hostname: (nodeId: string) => string,
    network: (id: string) => networkV1.NetworkRecord | undefined,
  ) {
    this.#bus = bus;
    this.#hostname = hostname;
    this.#network = network;
  }

  /** Labels come first, so that none of them can pose as an attribute of ours. */
  container(record: containerV1.ContainerRecord, action: string, extra: Readonly<Record<string, string>> = {}): void {
    this.#publish({
      type: 'container',
      action,
      actorId: record.id,
      attributes: {
        ...record.spec?.labels,
        'atoll.node': this.#hostname(record.nodeId),
        image: record.spec?.image?.reference ?? '',
        name: record.spec?.name ?? '',
        ...extra,
      },
      nodeId: record.nodeId,
    });
  }

  /** A container joins or leaves all its networks. One without network, or in another's, has none of its own to join. */
  networks(record: containerV1.ContainerRecord, action: 'connect' | 'disconnect'): void {
    const { spec, endpoints } = record;
    const name = networkNameOf(spec?.network?.mode ?? '');
    const isAlone = (name === 'host' || name === 'none') && !spec?.network?.networkDisabled;
    if (isAlone) this.#join(record, action, { id: networkIdOf(name), name, driver: name === 'none' ? 'null' : name });
    if (defaultBridgeOf(record)) this.bridge(record, action);
    for (const endpoint of endpoints) this.endpoint(record, endpoint, action);
  }

  /** A container joins or leaves the default bridge. */
  bridge(record: containerV1.ContainerRecord, action: 'connect' | 'disconnect'): void {
    this.#join(record, action, { id: networkIdOf('bridge'), name: 'bridge', driver: 'bridge' });
  }

  /** A container joins or leaves one network of a user. */
  endpoint(
    record: containerV1.ContainerRecord,
    { networkId, asked }: networkV1.Endpoint,
    action: 'connect' | 'disconnect',
  ): void {
    const { name, driver } = this.#network(networkId) ?? { name: asked?.network ?? '', driver: '' };
    this.#join(record, action, { id: networkId, name, driver });
  }

  network({ id, name, driver }: networkV1.NetworkRecord, action: 'create' | 'destroy'): void {
    this.#publish({ type: 'network', action, actorId: id, attributes: { name, type: driver }, nodeId: '' });
  }

  volume({ name, driver, nodeId }: volumeV1.VolumeRecord, action: 'create' | 'destroy'): void {
    this.#publish({ type: 'volume', action, actorId: name, attributes: { driver }, nodeId });
  }

  /** What a container that starts mounts, and unmounts when it ends. */
  volumes({ id, spec, nodeId }: containerV1.ContainerRecord, action: 'mount' | 'unmount'): void {
    for (const { type, source, target, readOnly, propagation } of spec?.mounts ?? []) {
      if (type !== 'volume') continue;
      const seen = { destination: target, propagation, 'read/write': String(!readOnly) };
      const attributes = { container: id, driver: 'local', ...(action === 'mount' ? seen : {}) };
      this.#publish({ type: 'volume', action, actorId: source, attributes, nodeId });
    }
  }

  node(record: nodeV1.NodeRecord, action: string, extra: Readonly<Record<string, string>> = {}): void {
    this.#publish({
      type: 'node',
      action,
      actorId: record.id,
      attributes: { name: record.facts?.hostname ?? record.id, ...extra },
      nodeId: record.id,
    });
  }

  /** An event only an agent sees, about a container of its own. */
  relay(record: containerV1.ContainerRecord, event: eventV1.Event): void {
    if (event.type !== 'container' || OWN_ACTIONS.has(event.action)) return;
    this.container(record, event.action, event.attributes);
  }

  #join(
    { id, nodeId }: containerV1.ContainerRecord,
    action: string,
    network: { readonly id: string; readonly name: string; readonly driver: string },
  ): void {
    const attributes = { container: id, name: network.name, type: network.driver };
    this.#publish({ type: 'network', action, actorId: network.id, attributes, nodeId });
  }

  #publish(event: Omit<eventV1.Event, 'timeNs'>): void {
    // Distinct times keep the order of events that are sorted by time.
    const now = BigInt(Date.now()) * 1_000_000n;
    this.#lastNs = now > this.#lastNs ? now : this.#lastNs + 1n;
    this.#bus.publish({ ...event, timeNs: this.#lastNs });
  }
}
