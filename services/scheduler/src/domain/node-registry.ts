import { failedPrecondition, invalidArgument, notFound, unavailable } from '@atoll/errors';
import { nodeV1 } from '@atoll/proto';
import type { NodeFailure } from './node-failure.ts';
import type { NodeSubnets } from './node-subnet.ts';
import type { TermParts } from './term-parts.ts';

const { NodeAvailability, NodeReadiness } = nodeV1;

/** The nodes of the cluster: who they are, what they offer, and whether they are heard. */
export class NodeRegistry {
  readonly #parts: TermParts;
  readonly #subnets: NodeSubnets;
  readonly #failure: NodeFailure;
  readonly #since = new Map<
    string,
    { readonly readiness: nodeV1.NodeReadiness; readonly sinceNs: bigint; readonly message: string }
  >();

  /** Told and not stored yet. */
  readonly #links = new Map<string, nodeV1.HostLinks>();

  constructor(parts: TermParts, subnets: NodeSubnets, failure: NodeFailure) {
    this.#parts = parts;
    this.#subnets = subnets;
    this.#failure = failure;
  }

  /** The record of a node that says hello; stored when new or changed. Errors: invalid-argument, resource-exhausted. */
  register(id: string, facts: nodeV1.NodeFacts): Promise<nodeV1.NodeRecord> {
    if (facts.hostname === '' || facts.memoryBytes <= 0n || facts.nanoCpus <= 0n) {
      throw invalidArgument(`node ${id} does not say its hostname, memory and CPUs`);
    }
    const { turns, signal, state, writes, events } = this.#parts;
    // One registration at a time: two new nodes must not get the same index.
    return turns.run('node registration', signal, async () => {
      const known = state.nodes.get(id);
      if (known) {
        if (sameFacts(known.facts, facts)) return known;
        return writes.putNode({ ...known, facts });
      }
      const index = this.#freeIndex();
      const record = await writes.putNode(
        nodeV1.NodeRecord.fromPartial({
          id,
          facts,
          index,
          containerSubnet: this.#subnets.of(index),
          availability: NodeAvailability.ACTIVE,
          joinedAtNs: BigInt(Date.now()) * 1_000_000n,
        }),
      );
      events.node(record, 'create');
      return record;
    });
  }

  /** What a node says of its host's own network since its hello. While one word is being stored, of those that come the last counts. */
  relink(id: string, links: nodeV1.HostLinks): void {
    const { turns, signal, log } = this.#parts;
    const isWaiting = this.#links.has(id);
    this.#links.set(id, links);
    if (isWaiting) return;
    turns
      .run('node registration', signal, () => this.#storeLinks(id))
      .catch((err: unknown) => {
        if (!signal.aborted) log.warn({ node: id, err }, "changes of a host's interfaces were not stored");
      });
  }

  async #storeLinks(id: string): Promise<void> {
    const links = this.#links.get(id);
    this.#links.delete(id);
    const known = this.#parts.state.nodes.get(id);
    if (!known?.facts || !links) return;
    const facts = { ...known.facts, ...links };
    if (sameFacts(known.facts, facts)) return;
    await this.#parts.writes.putNode({ ...known, facts });
    this.#failure.retry();
  }

  /** Its containers are known and it takes orders. */
  up(id: string): void {
    this.#parts.health.up(id);
    this.#setReadiness(id, NodeReadiness.READY, '');
    this.#failure.retry();
  }

  down(id: string): void {
    this.#setReadiness(id, NodeReadiness.DOWN, 'no heartbeat');
    this.#failure.down(id);
  }

  list(): nodeV1.ListNodesResponse {
    const nodes = [...this.#parts.state.nodes.values()].sort((a, b) => a.index - b.index);
    return { nodes, statuses: nodes.map((node) => this.status(node.id)) };
  }

  status(id: string): nodeV1.NodeStatus {
    const info = this.#parts.state.infos.get(id);
    const known = this.#since.get(id);
    return nodeV1.NodeStatus.fromPartial({
      id,
      readiness: known?.readiness ?? NodeReadiness.DOWN,
      message: known?.message ?? 'not heard since this scheduler leads',
      sinceNs: known?.sinceNs ?? 0n,
      reservedMemory: BigInt(info?.reservedMemory ?? 0),
      reservedNanoCpus: BigInt(info?.reservedNanoCpus ?? 0),
      containers: info?.containers ?? 0,
    });
  }

  /** Errors: not-found, invalid-argument. A drained node's containers with restart always or unless-stopped move. */
  async update(request: nodeV1.UpdateNodeRequest): Promise<nodeV1.NodeRecord> {
    const { state, writes, events } = this.#parts;
    const record = this.#get(request.id);
    if (request.availability === NodeAvailability.UNSPECIFIED)
      throw invalidArgument('node update needs an availability');
    if (record.availability === request.availability) return record;
    const stored = await writes.putNode({ ...record, availability: request.availability });
    events.node(stored, 'update', {
      'availability.old': word(record.availability),
      'availability.new': word(stored.availability),
    });
    if (state.infos.get(stored.id)?.availability === 'drain') this.#failure.drain(stored.id);
    else this.#failure.retry();
    return stored;
  }

  /** Errors: not-found, failed-precondition when it is up or has containers and `force` is not set. */
  async remove(given: string, force: boolean): Promise<void> {
    const { state, writes, events, observations, health, sessions } = this.#parts;
    const record = this.#get(given);
    const { id } = record;
    const containers = [...state.onNode(id)];
    const name = record.facts?.hostname ?? id;
    if (!force && health.isReady(id)) {
      throw failedPrecondition(`node ${name} is not down and can't be removed: stop its agent or force the removal`);
    }
    if (!force && containers.length > 0) {
      throw failedPrecondition(`node ${name} has ${containers.length} containers: remove them or force the removal`);
    }
    for (const container of containers) {
      await writes.deleteContainer(container.id);
      observations.forget(container.id);
      events.container(container, 'destroy');
    }
    await writes.deleteNode(id);
    health.forget(id);
    sessions.get(id)?.end(unavailable('the node was removed from the cluster'));
    observations.forgetNode(id);
    this.#since.delete(id);
    events.node(record, 'remove');
  }

  /** Writes what changed of a node to the observed bucket. */
  publish(id: string): void {
    this.#parts.observations.node(this.status(id));
  }

  #setReadiness(id: string, readiness: nodeV1.NodeReadiness, message: string): void {
    const { state, events } = this.#parts;
    const before = this.#since.get(id)?.readiness;
    const info = state.infos.get(id);
    if (info) info.ready = readiness === NodeReadiness.READY;
    if (before !== readiness) {
      this.#since.set(id, { readiness, message, sinceNs: BigInt(Date.now()) * 1_000_000n });
      const record = state.nodes.get(id);
      if (record) {
        const [was, is] = [
          before === NodeReadiness.READY ? 'ready' : 'down',
          readiness === NodeReadiness.READY ? 'ready' : 'down',
        ];
        if (before !== undefined || is === 'down') events.node(record, 'update', { 'state.old': was, 'state.new': is });
      }
    }
    this.publish(id);
  }

  #get(id: string): nodeV1.NodeRecord {
    const { nodes } = this.#parts.state;
    const record = nodes.get(id) ?? [...nodes.values()].find((node) => node.facts?.hostname === id);
    if (!record) throw notFound(`node ${id} not found`);
    return record;
  }

  #freeIndex(): number {
    const taken = new Set([...this.#parts.state.nodes.values()].map((node) => node.index));
    let index = 1;
    while (taken.has(index)) index++;
    return index;
  }
}

function sameFacts(a: nodeV1.NodeFacts | undefined, b: nodeV1.NodeFacts): boolean {
  if (!a) return false;
  return Buffer.from(nodeV1.NodeFacts.encode(sorted(a)).finish()).equals(nodeV1.NodeFacts.encode(sorted(b)).finish());
}

/** Map fields in one order, so that equal facts have equal bytes. */
function sorted(facts: nodeV1.NodeFacts): nodeV1.NodeFacts {
  return { ...facts, labels: Object.fromEntries(Object.entries(facts.labels).sort(([a], [b]) => (a < b ? -1 : 1))) };
}

function word(availability: nodeV1.NodeAvailability): string {
  switch (availability) {
    case NodeAvailability.PAUSE:
      return 'pause';
    case NodeAvailability.DRAIN:
      return 'drain';
    default:
      return 'active';
  }
}
