import { macvlanOf } from '@atoll/docker-api';
import {
  alreadyExists,
  failedPrecondition,
  invalidArgument,
  notFound,
  permissionDenied,
  resourceExhausted,
} from '@atoll/errors';
import { containerV1, type networkV1 } from '@atoll/proto';
import type { TermParts } from '../term-parts.ts';
import { assertEncryption } from './encryption.ts';
import { parseCidr, parseIp } from './ip-address.ts';
import { checkConfigOnly, withConfig } from './network-config.ts';
import { checkDriver, checkIpam, checkNetworkName, checkOptions, checkScope } from './network-options.ts';
import { assertParentFree, assertParentSomewhere } from './parent-hosts.ts';
import { planSubnets, type TakenBlock } from './subnet-plan.ts';

const ID = /^[0-9a-f]{64}$/;
const MAX_NETWORKS = 4_096;
const MAX_TEXT_BYTES = 65_536;
/** A container that has, or may have, a process: its network must stay. */
const ACTIVE: ReadonlySet<containerV1.ContainerState> = new Set([
  containerV1.ContainerState.RUNNING,
  containerV1.ContainerState.PAUSED,
  containerV1.ContainerState.RESTARTING,
  containerV1.ContainerState.LOST,
]);

/** Makes and removes networks. */
export class Networks {
  readonly #parts: TermParts;

  constructor(parts: TermParts) {
    this.#parts = parts;
  }

  /**
   * Creates; the same id twice is the same network. Subnets, gateways and the VNI that were not asked for are chosen.
   * Errors: invalid-argument naming the field, already-exists with Docker's text, not-found for drivers nobody has, unimplemented
   * for what is not built or no host's kernel has, permission-denied naming the field for configurations, resource-exhausted when the default pools are used up,
   * failed-precondition naming the hosts when it is to be encrypted and some cannot.
   */
  create(request: networkV1.CreateNetworkRequest): Promise<networkV1.NetworkRecord> {
    const { network } = request;
    if (!network) throw invalidArgument('a network needs a description');
    if (!ID.test(network.id)) throw invalidArgument(`network id ${JSON.stringify(network.id)} is not 64 hex digits`);
    const { turns, signal, state, writes, events } = this.#parts;
    return turns.run(`network ${network.id}`, signal, async () => {
      const existing = state.networks.records.get(network.id);
      if (existing) return existing;
      const stored = await writes.putNetwork(this.#draft(network));
      events.network(stored, 'create');
      return stored;
    });
  }

  /**
   * The revision of the deletion. Containers that do not run are no obstacle, as in docker: they do not start any more.
   * Errors: not-found, failed-precondition with Docker's text while containers are connected, permission-denied while networks are there that
   * were made from it.
   */
  remove(id: string): Promise<bigint> {
    const { turns, signal, writes, events } = this.#parts;
    this.#network(id);
    return turns.run(`network ${id}`, signal, async () => {
      const network = this.#network(id);
      this.#assertUnused(network);
      const revision = await writes.deleteNetwork(id);
      events.network(network, 'destroy');
      return revision;
    });
  }

  /** The record to store. Synchronous: no other request comes between check and claim. */
  #draft(request: networkV1.NetworkRecord): networkV1.NetworkRecord {
    const { networks } = this.#parts.state;
    checkNetworkName(request.name);
    if (networks.idOfName(request.name) !== undefined) {
      throw alreadyExists(`network with name ${request.name} already exists`);
    }
    if (request.configOnly) checkConfigOnly(request);
    const given = withConfig(request, (name) => networks.get(networks.idOfName(name) ?? ''));
    checkDriver(given.driver);
    checkScope(given);
    checkIpam(given);
    checkText('Labels', given.labels);
    checkText('Options', given.options);
    if (given.ingress) throw invalidArgument('Ingress: the routing mesh of services is not built yet');
    if (networks.records.size >= MAX_NETWORKS) {
      throw resourceExhausted(`a cluster has at most ${MAX_NETWORKS} networks: remove some`);
    }
    const mtu = checkOptions(given);
    const createdAtNs = BigInt(Date.now()) * 1_000_000n;
    if (given.configOnly) {
      planSubnets(given, [], this.#parts.pools);
      return { ...given, driver: 'null', vni: 0, mtu, createdAtNs, revision: 0n };
    }
    const macvlan = macvlanOf(given);
    if (macvlan) {
      assertParentSomewhere(this.#parts, macvlan);
      assertParentFree(networks.all(), macvlan);
      // It is on a link of hosts: their own addresses may well be in it, but not in what is chosen without being asked for.
      const subnets = planSubnets(given, this.#given(), this.#parts.pools, this.#onLinks());
      return { ...given, subnets, vni: 0, mtu, createdAtNs, revision: 0n };
    }
    assertEncryption(this.#parts.state, given);
    const vni = networks.freeVni(given.id);
    if (vni === undefined) throw resourceExhausted('all VXLAN network identifiers are in use');
    const subnets = planSubnets(given, [...this.#given(), ...this.#onLinks()], this.#parts.pools);
    return { ...given, subnets, vni, mtu, createdAtNs, revision: 0n };
  }

  /** Blocks that Atoll gave: of networks, and of the hosts' own containers. */
  #given(): TakenBlock[] {
    const { state, containerCidr } = this.#parts;
    const own = parseCidr(containerCidr)?.block;
    return [...state.networks.blocks(), ...(own ? [{ block: own, whose: 'the default bridges of the hosts' }] : [])];
  }

  /** The hosts' addresses, which carry the packets, and what is on their links. */
  #onLinks(): TakenBlock[] {
    const { state } = this.#parts;
    const hosts = [...state.nodes.values()].flatMap(({ facts }) => {
      const address = parseIp(facts?.hostIp ?? '');
      if (!address) return [];
      const { version, value } = address;
      const block = { version, first: value, last: value, prefix: version === 4 ? 32 : 128 };
      return [{ block, whose: `the address of host ${facts?.hostname}` }];
    });
    const routes = [...state.nodes.values()].flatMap(({ facts }) =>
      (facts?.onLinkRoutes ?? []).flatMap((cidr) => {
        const block = parseCidr(cidr)?.block;
        return block ? [{ block, whose: `a route of host ${facts?.hostname}` }] : [];
      }),
    );
    return [...hosts, ...routes];
  }

  #assertUnused(network: networkV1.NetworkRecord): void {
    const { pushes, observations, state } = this.#parts;
    const made = network.configOnly ? state.networks.madeFrom(network.name) : [];
    if (made.length > 0) {
      throw permissionDenied(
        `configuration network "${network.name}" is in use (by network ${made.slice(0, 16).join(', ')})`,
      );
    }
    const active = pushes.membersOf(network.id).filter(({ containerId, nodeId }) => {
      const status = observations.status(containerId);
      const isKnown = status?.nodeId === nodeId && status.state !== containerV1.ContainerState.CREATING;
      if (isKnown) return ACTIVE.has(status.state);
      return state.held(containerId)?.desired === containerV1.DesiredState.RUNNING;
    });
    if (active.length === 0 && !state.networks.isPinned(network.id)) return;
    const names = active.map(
      ({ containerId }) => `name:"${state.held(containerId)?.spec?.name ?? ''}" id:"${containerId.slice(0, 12)}"`,
    );
    const who = names.length === 0 ? 'a container is being started' : names.slice(0, 16).join(', ');
    throw failedPrecondition(`error while removing network: network ${network.name} has active endpoints (${who})`);
  }

  #network(id: string): networkV1.NetworkRecord {
    const network = this.#parts.state.networks.get(id);
    if (!network) throw notFound(`network ${id} not found`);
    return network;
  }
}

function checkText(field: string, map: Readonly<Record<string, string>>): void {
  const bytes = Object.entries(map).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes > MAX_TEXT_BYTES) throw invalidArgument(`${field}: at most ${MAX_TEXT_BYTES} characters (got ${bytes})`);
}
