import { isPublished } from '@atoll/docker-api';
import { failedPrecondition, hasReason, invalidArgument, notFound } from '@atoll/errors';
import { type containerV1, nodeV1 } from '@atoll/proto';
import { fillPorts, publishes } from './container-ports.ts';
import { isActive } from './container-state.ts';
import { assertHostUp } from './host-up.ts';
import { hostsWith } from './port-scope.ts';
import type { TermParts } from './term-parts.ts';

type Binding = containerV1.PortBinding;
type Record_ = containerV1.ContainerRecord & { readonly spec: containerV1.ContainerSpec };

const MAX_PORTS = 1_024;
const ENSURE_WAIT_MS = 2_000;

/** Publishes and withdraws ports of containers that exist: the record first, then the host of one that runs. */
export class ContainerPortChanges {
  readonly #parts: TermParts;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /**
   * When the host refuses, the record is put back. Errors: not-found, invalid-argument (what is asked for, the container's network
   * mode), conflict with Docker's text for a port in use, failed-precondition when the container's host is down, the host's refusal.
   */
  publish({ id, ports }: containerV1.PublishPortsRequest): Promise<containerV1.PublishPortsResponse> {
    for (const port of ports) assertBinding(port, 1);
    return this.#turn(id, ports, async (record, network) => {
      if (!publishes(network)) {
        throw invalidArgument(
          `container ${record.spec.name} has the network mode ${network.mode}: it has no ports of its own to publish`,
        );
      }
      if (!isPublished(record)) {
        throw invalidArgument(
          `container ${record.spec.name} is in macvlan networks only: it is reached at its own address, and hosts publish no ports for it`,
        );
      }
      for (const { hostIp } of ports) this.#assertAddress(record, hostIp);
      const fresh = ports.filter((port) => !record.ports.some((known) => isSame(known, port)));
      const known = record.ports.filter((one) => ports.some((port) => isSame(one, port)));
      if (fresh.length === 0) return { record, ports: known };
      const { state, ports: claims } = this.#parts;
      const filled = fillPorts(fresh, record.ports, claims.allocator, (port, protocol) =>
        state.isPortInUse(port, protocol),
      );
      const asked = network.ports.length;
      const stored = await this.#change(record, {
        ...record,
        spec: { ...record.spec, network: { ...network, ports: [...network.ports, ...fresh] } },
        // Those of publish-all, which nobody named, stay behind the others.
        ports: [...record.ports.slice(0, asked), ...filled, ...record.ports.slice(asked)],
      });
      return { record: stored, ports: [...known, ...filled] };
    });
  }

  /** Errors: as publish; not-found also for a port that is not published. */
  withdraw({ id, ports }: containerV1.WithdrawPortsRequest): Promise<containerV1.WithdrawPortsResponse> {
    for (const port of ports) assertBinding(port, 0);
    return this.#turn(id, ports, async (record, network) => {
      for (const port of ports) {
        if (record.ports.some((known) => fits(known, port))) continue;
        throw notFound(`container ${record.spec.name} does not publish ${textOf(port)}`);
      }
      const stays = record.ports.map((known) => !ports.some((port) => fits(known, port)));
      const stored = await this.#change(record, {
        ...record,
        spec: { ...record.spec, network: { ...network, ports: network.ports.filter((_, at) => stays[at] ?? true) } },
        ports: record.ports.filter((_, at) => stays[at]),
      });
      return { record: stored, ports: record.ports.filter((_, at) => !stays[at]) };
    });
  }

  #turn<T>(
    id: string,
    ports: readonly Binding[],
    task: (record: Record_, network: containerV1.NetworkSpec) => Promise<T>,
  ): Promise<T> {
    const { writes, turns, signal } = this.#parts;
    if (ports.length === 0) throw invalidArgument('ports: at least one has to be named');
    if (ports.length > MAX_PORTS) throw invalidArgument(`ports: at most ${MAX_PORTS} in one request`);
    writes.container(id);
    return turns.run(id, signal, async () => {
      const record = writes.container(id);
      if (!record.spec.network) throw invalidArgument(`container ${record.spec.name} has no network`);
      return task(record, record.spec.network);
    });
  }

  async #change(before: Record_, wanted: Record_): Promise<containerV1.ContainerRecord> {
    const { writes, orders, observations, ports, events, log } = this.#parts;
    const changed = { ...wanted, generation: before.generation + 1n };
    const runs = isActive(observations.status(before.id));
    if (runs) assertHostUp(this.#parts, before);
    const release = runs ? ports.take(changed) : undefined;
    try {
      const stored = await writes.putContainer(changed);
      if (!runs) {
        await orders.attempt(nodeV1.Action.ENSURE, stored, { waitMs: ENSURE_WAIT_MS });
      } else {
        await orders.send(nodeV1.Action.CONNECT, stored).catch(async (error: unknown) => {
          // Without an answer it may have been done; the host's next session sets it right by the record.
          if (hasReason(error, 'unavailable', 'deadline-exceeded', 'cancelled')) throw error;
          await writes.putContainer({ ...before, generation: stored.generation + 1n }).catch((failure: unknown) => {
            log.warn({ container: before.id, err: failure }, 'a refused change of ports could not be taken back');
          });
          throw error;
        });
      }
      events.container(stored, 'update');
      return stored;
    } finally {
      release?.();
    }
  }

  #assertAddress(record: Record_, hostIp: string): void {
    const { state } = this.#parts;
    const hosts = hostsWith(state, hostIp);
    if (hosts.size === 0 || hosts.has(record.nodeId)) return;
    const host = state.nodes.get(record.nodeId)?.facts?.hostname ?? record.nodeId;
    throw failedPrecondition(`container ${record.spec.name} is on host ${host}, which has not the address ${hostIp}`);
  }
}

function assertBinding({ containerPort, protocol, hostPort, hostPortEnd }: Binding, least: number): void {
  if (containerPort < 1 || containerPort > 65_535) throw invalidArgument(`invalid containerPort: ${containerPort}`);
  if (!['', 'tcp', 'udp', 'sctp'].includes(protocol)) throw invalidArgument(`invalid proto: ${protocol}`);
  const isRange = hostPortEnd !== 0;
  if (hostPort > 65_535 || hostPortEnd > 65_535 || (isRange && (hostPortEnd < hostPort || hostPort < least))) {
    throw invalidArgument(`invalid hostPort: ${hostPort}${isRange ? `-${hostPortEnd}` : ''}`);
  }
}

/** Published already as asked for. What the scheduler is to pick is never the same. */
function isSame(known: Binding, asked: Binding): boolean {
  return asked.hostPort !== 0 && asked.hostPortEnd === 0 && fits(known, asked) && known.hostIp === asked.hostIp;
}

function fits(known: Binding, asked: Binding): boolean {
  return (
    known.containerPort === asked.containerPort &&
    (known.protocol || 'tcp') === (asked.protocol || 'tcp') &&
    (asked.hostPort === 0 || known.hostPort === asked.hostPort) &&
    (asked.hostIp === '' || known.hostIp === asked.hostIp) &&
    (asked.gatewayIp === '' || known.gatewayIp === asked.gatewayIp)
  );
}

function textOf({ gatewayIp, hostIp, hostPort, containerPort, protocol }: Binding): string {
  const ip = gatewayIp || hostIp;
  const host = `${ip === '' ? '' : `${ip}:`}${hostPort === 0 ? '' : `${hostPort}:`}`;
  return `${host}${containerPort}/${protocol || 'tcp'}`;
}
