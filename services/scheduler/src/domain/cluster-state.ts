import type { Mirror, MirrorChange } from '@atoll/bus';
import { containerV1, type networkV1, nodeV1, type volumeV1 } from '@atoll/proto';
import { type Availability, type Claim, NodeInfo } from '@atoll/scheduling';
import { noAppArmor } from './apparmor.ts';
import { claimOf } from './claim.ts';
import { keyOf } from './container-ports.ts';
import { noEncryption } from './network/encryption.ts';
import { NetworkTable } from './network/network-table.ts';
import { noSELinux } from './selinux.ts';
import { noStorageLimits } from './storage-limits.ts';
import { namedVolumes, VolumeHosts } from './volume-hosts.ts';

interface Hold {
  readonly record: containerV1.ContainerRecord;
  readonly name: string;
  readonly nodeId: string;
  readonly claim: Claim;
  /** Host ports, as `80/tcp`. */
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly endpoints: readonly networkV1.Endpoint[];
}

export interface StateMirrors {
  readonly containers: Mirror<containerV1.ContainerRecord>;
  readonly nodes: Mirror<nodeV1.NodeRecord>;
  readonly volumes: Mirror<volumeV1.VolumeRecord>;
  readonly leftovers: Mirror<volumeV1.VolumeLeftover>;
  readonly networks: Mirror<networkV1.NetworkRecord>;
}

/**
 * Desired state with its indexes: names, what each host has promised, ports and addresses in use. It follows the mirrors; what is being written
 * is held beforehand (`hold`), so that two requests at the same time never get the same name, port or memory.
 */
export class ClusterState {
  readonly records: Mirror<containerV1.ContainerRecord>;
  readonly nodes: Mirror<nodeV1.NodeRecord>;
  readonly infos = new Map<string, NodeInfo>();
  readonly volumes: VolumeHosts;
  readonly networks: NetworkTable;
  readonly #names = new Map<string, string>();
  readonly #holds = new Map<string, Hold>();
  readonly #ports = new Map<string, number>();
  readonly #onNode = new Map<string, Set<string>>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #stop: (() => void)[];

  constructor({ containers: records, nodes, volumes, leftovers, networks }: StateMirrors) {
    this.records = records;
    this.nodes = nodes;
    this.volumes = new VolumeHosts(volumes, leftovers);
    this.networks = new NetworkTable(networks);
    for (const node of nodes.values()) this.#nodeChanged(node.id, node);
    for (const record of records.values()) {
      this.hold(record);
      for (const endpoint of record.endpoints) this.networks.resumeAfter(endpoint);
    }
    this.#stop = [
      nodes.onChange((change) => this.#nodeChanged(change.id, change.value)),
      records.onChange((change) => this.#recordChanged(change)),
    ];
  }

  close(): void {
    for (const stop of this.#stop) stop();
    this.networks.close();
  }

  /** The record as it is or is being written. */
  held(id: string): containerV1.ContainerRecord | undefined {
    return this.#holds.get(id)?.record;
  }

  /** Hears of each record that is held, changed or dropped. The listener must not throw. */
  onHold(listener: (id: string) => void): void {
    this.#listeners.add(listener);
  }

  /** Id of the container that has this name; what is being removed has none. */
  idOfName(name: string): string | undefined {
    return this.#names.get(name);
  }

  /** Does any container have it in its record, whether it runs or not? */
  isPortInUse(port: number, protocol: string): boolean {
    return (this.#ports.get(`${port}/${protocol}`) ?? 0) > 0;
  }

  /** The records of one host. */
  *onNode(nodeId: string): Generator<containerV1.ContainerRecord> {
    for (const id of this.#onNode.get(nodeId) ?? []) {
      const record = this.records.get(id);
      if (record) yield record;
    }
  }

  /**
   * Takes name, host, ports, reservations and addresses of a record, in place of what the container held before. An address the
   * record gives up is kept until that is stored: the write may yet fail.
   */
  hold(record: containerV1.ContainerRecord): void {
    this.#release(record.id);
    const hold = holdOf(record, this.records.get(record.id)?.endpoints ?? []);
    this.#holds.set(record.id, hold);
    if (hold.name !== '') this.#names.set(hold.name, record.id);
    this.#place(record.nodeId, record.id);
    for (const port of hold.ports) this.#countPort(port, 1);
    this.volumes.add(hold.volumes, hold.nodeId);
    for (const endpoint of hold.endpoints) this.networks.hold(endpoint);
    this.infos.get(hold.nodeId)?.add(hold.claim);
    this.#tell(record.id);
  }

  /** Gives back what was held for a write that did not happen. */
  settle(id: string): void {
    const stored = this.records.get(id);
    if (stored) this.hold(stored);
    else this.#drop(id);
  }

  #recordChanged(change: MirrorChange<containerV1.ContainerRecord>): void {
    if (change.value) this.hold(change.value);
    else this.#drop(change.id);
  }

  #nodeChanged(id: string, record: nodeV1.NodeRecord | undefined): void {
    const facts = record?.facts;
    this.networks.setHost(id, facts ? [facts.hostIp, facts.hostIpv6] : []);
    if (!record || !facts) {
      this.infos.delete(id);
      return;
    }
    const known = this.infos.get(id);
    const described = {
      id,
      hostname: facts.hostname,
      os: facts.os,
      architecture: facts.architecture,
      runtimes: new Set(facts.runtimes.map(({ name }) => name)),
      labels: facts.labels,
      memory: Number(facts.memoryBytes),
      nanoCpus: Number(facts.nanoCpus),
      usernsRemap: facts.usernsRemap,
      noEncryption: noEncryption(facts),
      noAppArmor: noAppArmor(facts),
      noStorageLimits: noStorageLimits(facts),
      noSELinux: noSELinux(facts),
    };
    if (known) {
      known.facts = described;
      known.availability = availabilityOf(record);
      return;
    }
    const info = new NodeInfo(described, { ready: false, availability: availabilityOf(record) });
    for (const container of this.#onNode.get(id) ?? []) {
      const hold = this.#holds.get(container);
      if (hold) info.add(hold.claim);
    }
    this.infos.set(id, info);
  }

  #drop(id: string): void {
    this.#release(id);
    this.#tell(id);
  }

  #tell(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }

  #release(id: string): void {
    const hold = this.#holds.get(id);
    if (!hold) return;
    this.#holds.delete(id);
    if (this.#names.get(hold.name) === id) this.#names.delete(hold.name);
    const placed = this.#onNode.get(hold.nodeId);
    placed?.delete(id);
    if (placed?.size === 0) this.#onNode.delete(hold.nodeId);
    for (const port of hold.ports) this.#countPort(port, -1);
    this.volumes.remove(hold.volumes, hold.nodeId);
    for (const endpoint of hold.endpoints) this.networks.release(endpoint);
    this.infos.get(hold.nodeId)?.remove(hold.claim);
  }

  #place(nodeId: string, id: string): void {
    const placed = this.#onNode.get(nodeId);
    if (placed) placed.add(id);
    else this.#onNode.set(nodeId, new Set([id]));
  }

  #countPort(key: string, change: 1 | -1): void {
    const count = (this.#ports.get(key) ?? 0) + change;
    if (count > 0) this.#ports.set(key, count);
    else this.#ports.delete(key);
  }
}

/** What is being removed keeps its place on the host and its addresses, which may be in use there yet, and nothing else. */
function holdOf(record: containerV1.ContainerRecord, stored: readonly networkV1.Endpoint[]): Hold {
  const { spec, nodeId, ports } = record;
  const own = new Set(record.endpoints.map(({ endpointId }) => endpointId));
  const endpoints = [...record.endpoints, ...stored.filter(({ endpointId }) => !own.has(endpointId))];
  if (!spec || record.desired === containerV1.DesiredState.REMOVED) {
    const claim = { memory: 0, nanoCpus: 0, ports: [] };
    return { record, name: '', nodeId, claim, ports: [], volumes: [], endpoints };
  }
  const claim = claimOf(spec, ports);
  return {
    record,
    name: spec.name,
    nodeId,
    claim,
    ports: ports.map(keyOf),
    volumes: namedVolumes(spec),
    endpoints,
  };
}

function availabilityOf(record: nodeV1.NodeRecord): Availability {
  switch (record.availability) {
    case nodeV1.NodeAvailability.PAUSE:
      return 'pause';
    case nodeV1.NodeAvailability.DRAIN:
      return 'drain';
    default:
      return 'active';
  }
}
