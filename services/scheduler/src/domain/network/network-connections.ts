import { randomBytes } from 'node:crypto';
import { defaultBridgeOf, networkIdOf } from '@atoll/docker-api';
import { failedPrecondition, hasReason, invalidArgument, notFound, permissionDenied } from '@atoll/errors';
import { containerV1, networkV1, nodeV1 } from '@atoll/proto';
import { isActive } from '../container-state.ts';
import { assertHostUp, isHostUp } from '../host-up.ts';
import type { TermParts } from '../term-parts.ts';
import { planBridge } from './bridge-plan.ts';
import { assertHostEncrypts } from './encryption.ts';
import { type Connected, planEndpoint } from './endpoint-plan.ts';
import { assertParentHere } from './parent-hosts.ts';

const RELINK_WAIT_MS = 2_000;
const BRIDGE_ID = networkIdOf('bridge');

type Record_ = containerV1.ContainerRecord;

/** Puts containers that exist into networks and takes them out: the record first, then the links of one that runs. */
export class NetworkConnections {
  readonly #parts: TermParts;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /**
   * The revision of the changed record; the same endpoint id twice is the same connection. When the host refuses, the record is put back.
   * Errors: not-found, permission-denied with Docker's text when it is connected, invalid-argument naming the field, conflict for a
   * fixed address in use, resource-exhausted, failed-precondition when the container's host is down or cannot encrypt what is
   * to be, the host's refusal.
   */
  connect(request: networkV1.ConnectContainerRequest): Promise<bigint> {
    const { networkId, containerId } = request;
    const { writes, turns, signal, state, events } = this.#parts;
    writes.container(containerId);
    if (networkId === BRIDGE_ID) return this.#joinBridge(request);
    return turns.run(containerId, signal, async () => {
      const record = writes.container(containerId);
      const network = state.networks.get(networkId);
      if (!network) throw notFound(`network ${networkId} not found`);
      const known = record.endpoints.find((endpoint) => endpoint.networkId === networkId);
      // Asked again, because the answer did not arrive.
      if (known && known.endpointId === request.endpointId) return record.revision;
      if (known) {
        throw permissionDenied(`endpoint with name ${record.spec.name} already exists in network ${network.name}`);
      }
      assertHostEncrypts(state, record.nodeId, network);
      const id = endpointId(request.endpointId);
      const runs = this.#runs(record);
      if (runs) assertHostUp(this.#parts, record);
      assertParentHere(state, network, record.nodeId);
      const spec = request.endpoint ?? networkV1.EndpointSpec.fromPartial({});
      const endpoint = planEndpoint(state.networks, network, connected(record), spec, 'EndpointConfig', id);
      const stored = await this.#change(record, withEndpoints(record, [...record.endpoints, endpoint]), runs);
      if (runs) events.endpoint(stored, endpoint, 'connect');
      return stored.revision;
    });
  }

  /**
   * The revision of the changed record. Errors: not-found, failed-precondition when it is not connected, or when its host is down and
   * `force` is not set; the host's refusal.
   */
  disconnect({ networkId, containerId, force }: networkV1.DisconnectContainerRequest): Promise<bigint> {
    const { writes, turns, signal, state, events } = this.#parts;
    writes.container(containerId);
    if (networkId === BRIDGE_ID) return this.#leaveBridge(containerId, force);
    return turns.run(containerId, signal, async () => {
      const record = writes.container(containerId);
      const endpoint = record.endpoints.find((one) => one.networkId === networkId);
      if (!endpoint) {
        const name = state.networks.get(networkId)?.name ?? networkId;
        throw failedPrecondition(`container ${containerId} is not connected to network ${name}`);
      }
      const runs = this.#runs(record);
      if (runs && !force) assertHostUp(this.#parts, record);
      // Nobody else gets the address before the host has let it go.
      state.networks.hold(endpoint);
      try {
        const rest = record.endpoints.filter((one) => one !== endpoint);
        const stored = await this.#change(record, withEndpoints(record, rest), runs && isHostUp(this.#parts, record));
        if (runs) events.endpoint(stored, endpoint, 'disconnect');
        return stored.revision;
      } finally {
        state.networks.release(endpoint);
      }
    });
  }

  /**
   * The endpoints a start has to bring up: networks that were made anew under the name of one that is gone count as the old one.
   * Errors: not-found with Docker's text for a network that is gone, failed-precondition for one that this host cannot have.
   */
  revive(record: Record_): networkV1.Endpoint[] {
    const { state } = this.#parts;
    const { networks } = state;
    if (record.endpoints.every(({ networkId }) => networks.get(networkId))) return record.endpoints;
    const kept = record.endpoints.filter(({ networkId }) => networks.get(networkId));
    for (const lost of record.endpoints) {
      if (networks.get(lost.networkId)) continue;
      const asked = lost.asked ?? networkV1.EndpointSpec.fromPartial({});
      const network = networks.find(asked.network);
      if (!network) throw notFound(`failed to set up container networking: network ${asked.network} not found`);
      assertParentHere(state, network, record.nodeId);
      kept.push(
        planEndpoint(networks, network, { ...connected(record), endpoints: kept }, asked, `network ${asked.network}`),
      );
    }
    return kept;
  }

  /** The address is chosen by the container's host. */
  #joinBridge({ containerId, endpoint, endpointId: given }: networkV1.ConnectContainerRequest): Promise<bigint> {
    const { writes, turns, signal, events } = this.#parts;
    return turns.run(containerId, signal, async () => {
      const record = writes.container(containerId);
      const known = defaultBridgeOf(record);
      if (known && given !== '' && known.endpointId === given) return record.revision;
      if (known) throw permissionDenied(`endpoint with name ${record.spec.name} already exists in network bridge`);
      const place = planBridge(
        connected(record),
        endpoint ?? networkV1.EndpointSpec.fromPartial({}),
        endpointId(given),
      );
      const runs = this.#runs(record);
      if (runs) assertHostUp(this.#parts, record);
      const stored = await this.#change(record, withBridge(record, place), runs);
      if (runs) events.bridge(stored, 'connect');
      return stored.revision;
    });
  }

  #leaveBridge(containerId: string, force: boolean): Promise<bigint> {
    const { writes, turns, signal, events } = this.#parts;
    return turns.run(containerId, signal, async () => {
      const record = writes.container(containerId);
      if (!defaultBridgeOf(record)) {
        throw failedPrecondition(`container ${containerId} is not connected to network bridge`);
      }
      const runs = this.#runs(record);
      if (runs && !force) assertHostUp(this.#parts, record);
      const left = containerV1.DefaultBridge.fromPartial({ connected: false });
      const stored = await this.#change(record, withBridge(record, left), runs && isHostUp(this.#parts, record));
      if (runs) events.bridge(stored, 'disconnect');
      return stored.revision;
    });
  }

  async #change(before: Record_, changed: Record_, runs: boolean): Promise<Record_> {
    const { writes, orders, log } = this.#parts;
    const stored = await writes.putContainer(changed);
    if (!runs) {
      await this.#relink(stored);
      return stored;
    }
    try {
      await orders.send(nodeV1.Action.CONNECT, stored);
      return stored;
    } catch (error) {
      // Without an answer it may have been done; the host's next session sets it right by the record.
      if (hasReason(error, 'unavailable', 'deadline-exceeded', 'cancelled')) throw error;
      await writes.putContainer({ ...before, generation: stored.generation + 1n }).catch((failure: unknown) => {
        log.warn({ container: before.id, err: failure }, 'a refused change of networks could not be taken back');
      });
      throw error;
    }
  }

  /** A container that does not run may be prepared, with links of its own; if that fails its next start makes them. */
  async #relink(record: Record_): Promise<void> {
    const { orders, log } = this.#parts;
    if (!isHostUp(this.#parts, record)) return;
    const refusal = await orders.attempt(nodeV1.Action.CONNECT, record, { waitMs: RELINK_WAIT_MS });
    if (refusal) log.warn({ container: record.id, err: refusal }, 'a prepared container was not linked anew');
  }

  #runs(record: Record_): boolean {
    return isActive(this.#parts.observations.status(record.id));
  }
}

/** Errors: invalid-argument. */
function endpointId(given: string): string {
  if (given === '') return randomBytes(32).toString('hex');
  if (/^[0-9a-f]{64}$/.test(given)) return given;
  throw invalidArgument(`endpoint id ${JSON.stringify(given)} is not 64 hex digits`);
}

function connected({ spec, endpoints, defaultBridge }: Record_): Connected {
  const bridge = defaultBridgeOf({ spec, defaultBridge })?.interfaceName;
  return { mode: spec?.network?.mode ?? '', bridge, service: spec?.network?.serviceName ?? '', endpoints };
}

function withEndpoints(record: Record_, endpoints: readonly networkV1.Endpoint[]): Record_ {
  return { ...record, endpoints: [...endpoints], generation: record.generation + 1n };
}

function withBridge(record: Record_, defaultBridge: containerV1.DefaultBridge): Record_ {
  return { ...record, defaultBridge, generation: record.generation + 1n };
}
