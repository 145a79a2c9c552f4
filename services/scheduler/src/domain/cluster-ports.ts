import { isPublished } from '@atoll/docker-api';
import { conflict } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { ClusterState } from './cluster-state.ts';
import { freeOf, isChosen, keyOf } from './container-ports.ts';
import { isActive } from './container-state.ts';
import type { Observations } from './observations.ts';
import { PortAllocator } from './port-allocator.ts';
import { addressesMeet, boundAddress, isClusterWide } from './port-scope.ts';

type Binding = containerV1.PortBinding;
type Record_ = containerV1.ContainerRecord;

/** Where other hosts send what arrives for a port. */
export interface PortOwner {
  readonly nodeId: string;
  /** The container can be reached by IPv6. */
  readonly ipv6: boolean;
}

/** A port whose owner is another one now. */
export interface PortChange {
  /** As `80/tcp`. */
  readonly key: string;
  readonly before: PortOwner | undefined;
  readonly after: PortOwner | undefined;
}

/** What one container has of one port. */
interface Hold {
  readonly owner: PortOwner;
  readonly addresses: readonly string[];
  readonly clusterWide: boolean;
  /** It runs, and is not only about to. */
  readonly runs: boolean;
}

/**
 * Who has which host port, over all hosts: containers that run and those that are being started. Docker too lets many containers ask
 * for one port, of which one can run.
 */
export class ClusterPorts {
  readonly allocator = new PortAllocator();
  readonly #state: ClusterState;
  readonly #observations: Observations;
  readonly #starting = new Map<string, Set<Record_>>();
  /** Key -> container -> hold. */
  readonly #holds = new Map<string, Map<string, Hold>>();
  readonly #keys = new Map<string, readonly string[]>();
  readonly #owners = new Map<string, PortOwner>();
  readonly #listeners = new Set<(changes: readonly PortChange[]) => void>();

  constructor(state: ClusterState, observations: Observations) {
    this.#state = state;
    this.#observations = observations;
    for (const { id } of state.records.values()) this.#update(id);
    state.onHold((id) => this.#update(id));
    observations.onChange((id) => this.#update(id));
  }

  /** Hears of ports that other hosts forward elsewhere now. The listener must not throw. */
  onChange(listener: (changes: readonly PortChange[]) => void): void {
    this.#listeners.add(listener);
  }

  /** Ports of running containers that are published on all hosts. */
  owners(): Iterable<readonly [string, PortOwner]> {
    return this.#owners;
  }

  /**
   * Takes the ports of a container that is about to run, or whose ports change, until the function it gives is called; after that it
   * has those it runs with. Errors: conflict with Docker's text, and nothing is taken.
   */
  take(record: Record_): () => void {
    this.#assertFree(record);
    const starting = this.#starting.get(record.id) ?? new Set();
    starting.add(record);
    this.#starting.set(record.id, starting);
    this.#update(record.id);
    return () => {
      starting.delete(record);
      if (starting.size === 0 && this.#starting.get(record.id) === starting) this.#starting.delete(record.id);
      this.#update(record.id);
    };
  }

  /**
   * The ports of a container that is to be started: of those the scheduler picks, others in the place of what has been taken since.
   * The same list when nothing changes. Errors: conflict when a range has none left, resource-exhausted.
   */
  settle(record: Record_): Binding[] {
    if (!isPublished(record)) return record.ports;
    const asked = record.spec?.network?.ports ?? [];
    let changed = false;
    const ports = record.ports.map((port, at) => {
      const wish = asked[at];
      if ((wish && !isChosen(wish)) || !this.#isTaken(record, port)) return port;
      changed = true;
      return { ...port, hostPort: this.#another(record, port, wish) };
    });
    return changed ? ports : record.ports;
  }

  /** Others for those it picks from all ports, as the host has one of them in use itself; undefined when it picks none. */
  others(record: Record_): Binding[] | undefined {
    const asked = record.spec?.network?.ports ?? [];
    if (!record.ports.some((_, at) => (asked[at]?.hostPort ?? 0) === 0)) return undefined;
    return record.ports.map((port, at) => {
      const wish = asked[at];
      return (wish?.hostPort ?? 0) === 0 ? { ...port, hostPort: this.#another(record, port, wish) } : port;
    });
  }

  #another(record: Record_, port: Binding, wish: Binding | undefined): number {
    const own = new Set(record.ports.map(keyOf));
    const isFree = (hostPort: number): boolean => {
      const other = { ...port, hostPort };
      return !own.has(keyOf(other)) && !this.#isTaken(record, other);
    };
    if (!wish || wish.hostPort === 0) {
      return this.allocator.allocate((one) => !isFree(one) || this.#state.isPortInUse(one, port.protocol));
    }
    const free = freeOf(wish, isFree);
    if (free !== undefined) return free;
    const range = `${boundAddress(port)}:${wish.hostPort}-${wish.hostPortEnd}`;
    throw conflict(`Bind for ${range} failed: all ports are allocated`);
  }

  #assertFree(record: Record_): void {
    if (!isPublished(record)) return;
    const seen: Binding[] = [];
    for (const port of record.ports) {
      const twice = seen.some(
        (other) =>
          keyOf(other) === keyOf(port) &&
          addressesMeet(other.hostIp, port.hostIp) &&
          other.gatewayIp === port.gatewayIp &&
          other.containerPort !== port.containerPort,
      );
      if (twice || this.#isTaken(record, port)) {
        throw conflict(`Bind for ${boundAddress(port)}:${port.hostPort} failed: port is already allocated`);
      }
      seen.push(port);
    }
  }

  /** By another container. */
  #isTaken(record: Record_, port: Binding): boolean {
    const clusterWide = isClusterWide(port);
    for (const [id, hold] of this.#holds.get(keyOf(port)) ?? []) {
      if (id === record.id) continue;
      if (!clusterWide && !hold.clusterWide && hold.owner.nodeId !== record.nodeId) continue;
      if (hold.addresses.some((address) => addressesMeet(address, port.hostIp))) return true;
    }
    return false;
  }

  #update(id: string): void {
    const wanted = this.#wanted(id);
    const before = this.#keys.get(id) ?? [];
    if (wanted.size === 0 && before.length === 0) return;
    const keys = new Set([...before, ...wanted.keys()]);
    if (wanted.size === 0) this.#keys.delete(id);
    else this.#keys.set(id, [...wanted.keys()]);
    const changes = [...keys].flatMap((key) => this.#put(key, id, wanted.get(key)) ?? []);
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
  }

  #put(key: string, id: string, hold: Hold | undefined): PortChange | undefined {
    const holds = this.#holds.get(key) ?? new Map<string, Hold>();
    if (hold) holds.set(id, hold);
    else holds.delete(id);
    if (holds.size > 0) this.#holds.set(key, holds);
    else this.#holds.delete(key);
    const before = this.#owners.get(key);
    // Two have it only when a host comes back that was given up: the first to run keeps it.
    const after = [...holds.values()].find(({ runs, clusterWide }) => runs && clusterWide)?.owner;
    if (after) this.#owners.set(key, after);
    else this.#owners.delete(key);
    if (before?.nodeId === after?.nodeId && before?.ipv6 === after?.ipv6) return undefined;
    return { key, before, after };
  }

  #wanted(id: string): Map<string, Hold> {
    const wanted = new Map<string, Hold>();
    const held = this.#state.held(id);
    const running = held && this.#runs(held) ? held : undefined;
    for (const record of [...(this.#starting.get(id) ?? []), ...(running ? [running] : [])]) {
      if (!isPublished(record)) continue;
      for (const port of record.ports) {
        const key = keyOf(port);
        const known = wanted.get(key);
        wanted.set(key, {
          owner: { nodeId: record.nodeId, ipv6: record.endpoints.some(({ ipv6Address }) => ipv6Address !== '') },
          addresses: [...new Set([...(known?.addresses ?? []), port.hostIp])],
          clusterWide: isClusterWide(port) || (known?.clusterWide ?? false),
          runs: record === running || (known?.runs ?? false),
        });
      }
    }
    return wanted;
  }

  /** Of a host that was not heard since the leader changed, what is wanted counts. */
  #runs(record: Record_): boolean {
    const status = this.#observations.status(record.id);
    if (!status) return record.desired === containerV1.DesiredState.RUNNING;
    return status.nodeId === record.nodeId && isActive(status);
  }
}
