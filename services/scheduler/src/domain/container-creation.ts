import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AtollError,
  alreadyExists,
  conflict,
  failedPrecondition,
  hasReason,
  invalidArgument,
} from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { type Constraint, parseConstraint } from '@atoll/scheduling';
import { claimOf } from './claim.ts';
import type { ClusterVolumes } from './cluster-volumes.ts';
import { checkContainerName, generateContainerName } from './container-name.ts';
import { assignPorts } from './container-ports.ts';
import { failpoint } from './failpoint.ts';
import { abilitiesFor, requireSecurityModules } from './host-abilities.ts';
import { encryptedAmong } from './network/encryption.ts';
import { planEndpoints } from './network/endpoint-plan.ts';
import { parentConstraints } from './network/parent-hosts.ts';
import { addressConstraints } from './port-scope.ts';
import { place, type TermParts } from './term-parts.ts';
import { namedVolumes } from './volume-hosts.ts';

/** A host that is slow to answer does not hold the create up: only a quick refusal counts. */
const ENSURE_WAIT_MS = 2_000;
const RECONNECT_WAIT_MS = 5_000;
const RECONNECT_POLL_MS = 100;
const ID = /^[0-9a-f]{64}$/;

/** Makes containers: name, host, ports and addresses in memory, one durable write, and the host told meanwhile. */
export class ContainerCreation {
  readonly #parts: TermParts;
  readonly #volumes: ClusterVolumes;

  constructor(parts: TermParts, volumes: ClusterVolumes) {
    this.#parts = parts;
    this.#volumes = volumes;
  }

  /**
   * Creates; the same id twice is the same container.
   * Errors: invalid-argument (name, id, constraint, runtime, network), already-exists with Docker's text when the name is in use,
   * failed-precondition that says why no host fits, the agent's refusal of a record it can never run.
   */
  create(request: containerV1.CreateContainerRequest): Promise<containerV1.ContainerRecord> {
    const { spec } = request;
    if (!spec) throw invalidArgument('a container needs a spec');
    const id = request.id || randomBytes(32).toString('hex');
    if (!ID.test(id)) throw invalidArgument(`container id ${JSON.stringify(id)} is not 64 hex digits`);
    return this.#parts.turns.run(id, this.#parts.signal, () => this.#create(id, spec));
  }

  async #create(id: string, given: containerV1.ContainerSpec): Promise<containerV1.ContainerRecord> {
    const { state, writes, observations, events, orders } = this.#parts;
    const existing = state.records.get(id);
    if (existing) {
      if (given.name !== '' && existing.spec?.name !== given.name) {
        throw conflict(`container ${id} exists already and is named ${existing.spec?.name}`);
      }
      return existing;
    }
    const record = await this.#placed(id, given);
    failpoint('create.1-held');
    // The agent may hear of it before the write is durable: an ENSURE only prepares, it never runs anything, and what a failed
    // write leaves behind there is removed by its explicit order below.
    const ensured = orders.attempt(nodeV1.Action.ENSURE, record, { waitMs: ENSURE_WAIT_MS });
    failpoint('create.2-asked');
    let stored: containerV1.ContainerRecord;
    try {
      [stored] = await Promise.all([writes.putContainer(record), this.#volumes.keep(record)]);
    } catch (error) {
      void orders.attempt(nodeV1.Action.REMOVE, record, { force: true });
      throw error;
    }
    failpoint('create.3-stored');
    const refusal = await ensured;
    if (refusal && isFinal(refusal)) {
      await writes.deleteContainer(id);
      observations.forget(id);
      void orders.attempt(nodeV1.Action.REMOVE, record, { force: true });
      throw refusal;
    }
    events.container(stored, 'create');
    failpoint('create.4-told');
    return stored;
  }

  /** Right after a takeover hosts are still on their way to the new leader: what fits nowhere yet waits for them a little. */
  async #placed(id: string, given: containerV1.ContainerSpec): Promise<containerV1.ContainerRecord> {
    const { state, health, signal } = this.#parts;
    const deadline = performance.now() + RECONNECT_WAIT_MS;
    for (;;) {
      try {
        const record = this.#draft(id, given);
        state.hold(record);
        return record;
      } catch (error) {
        const mayCome = [...state.nodes.values()].some((node) => health.isAwaited(node.id));
        if (!hasReason(error, 'failed-precondition') || !mayCome || performance.now() > deadline) throw error;
        await sleep(RECONNECT_POLL_MS, undefined, { signal });
      }
    }
  }

  /** The record to store. Everything in here is synchronous: no other request comes between check and hold. */
  #draft(id: string, given: containerV1.ContainerSpec): containerV1.ContainerRecord {
    const { state } = this.#parts;
    const settled = this.#volumes.settle(given);
    const spec =
      given.name === ''
        ? { ...settled, name: generateContainerName((name) => state.idOfName(name) !== undefined) }
        : settled;
    checkContainerName(spec.name);
    assertNameFree(state.idOfName(spec.name), spec.name);
    const constraints = spec.constraints.map(parseConstraint);
    const { allocator } = this.#parts.ports;
    const ports = assignPorts(spec.network, allocator, (port, protocol) => state.isPortInUse(port, protocol));
    const node = this.#choose(spec, ports, constraints);
    const endpoints = planEndpoints(state.networks, spec.network);
    return {
      id,
      spec,
      nodeId: node,
      desired: containerV1.DesiredState.CREATED,
      createdAtNs: BigInt(Date.now()) * 1_000_000n,
      generation: 1n,
      revision: 0n,
      ports,
      lostReason: '',
      placements: 0,
      endpoints,
      removeVolumes: false,
      defaultBridge: undefined,
    };
  }

  #choose(
    spec: containerV1.ContainerSpec,
    ports: readonly containerV1.PortBinding[],
    constraints: readonly Constraint[],
  ): string {
    this.#requireRuntime(spec.runtime);
    const abilities = abilitiesFor(spec);
    requireSecurityModules(this.#parts.state.infos, abilities);
    const placement = place(this.#parts, {
      claim: claimOf(spec, ports),
      ...abilities,
      constraints: [
        ...constraints,
        ...this.#nearVolumes(spec),
        ...addressConstraints(this.#parts.state, ports),
        ...parentConstraints(
          this.#parts.state,
          (spec.network?.endpoints ?? []).map(({ network }) => network),
        ),
      ],
      runtime: spec.runtime,
      encrypted: encryptedAmong(this.#parts.state.networks, networksOf(spec)),
    });
    if (!placement.node) throw failedPrecondition(placement.reason);
    return placement.node.facts.id;
  }

  /** Docker's words for a name that nothing in the cluster has, be it up or down. */
  #requireRuntime(name: string): void {
    const hosts = [...this.#parts.state.infos.values()];
    if (name === '' || hosts.length === 0 || hosts.some(({ facts }) => facts.runtimes.has(name))) return;
    throw invalidArgument(`unknown or invalid runtime name: ${name}`);
  }

  /** A named volume is on the host of its first use: who uses it goes there. */
  #nearVolumes(spec: containerV1.ContainerSpec): Constraint[] {
    const { volumes, nodes } = this.#parts.state;
    return namedVolumes(spec).flatMap((volume) => {
      const host = volumes.hostOf(volume);
      if (host === undefined) {
        const text = `volume ${volume}: files of an earlier one are to be removed there first`;
        return [{ text, soft: false, matches: (node) => !volumes.hasLeftover(node.id, volume) }];
      }
      const text = `volume ${volume}, which is on ${nodes.get(host)?.facts?.hostname ?? host}`;
      return [{ text, soft: false, matches: (node) => node.id === host }];
    });
  }
}

/** As a request names them; built-in ones among them. */
function networksOf({ network }: containerV1.ContainerSpec): readonly string[] {
  return [network?.mode ?? '', ...(network?.endpoints ?? []).map((endpoint) => endpoint.network)];
}

/** Errors: already-exists with Docker's text. */
export function assertNameFree(holder: string | undefined, name: string, prefix = ''): void {
  if (holder === undefined) return;
  throw alreadyExists(
    `${prefix}Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
}

/** A record this host can never run; anything else may pass, and the session's start sets it right. */
function isFinal(refusal: AtollError): boolean {
  return hasReason(refusal, 'invalid-argument', 'unimplemented', 'out-of-range', 'failed-precondition');
}
