import { isEncrypted } from '@atoll/docker-api';
import { networkV1 } from '@atoll/proto';
import type { ClusterState } from '../cluster-state.ts';
import type { NodeSession } from '../node-session.ts';
import type { NodeSessions } from '../node-sessions.ts';
import type { Observations } from '../observations.ts';
import { untilAborted } from '../until-aborted.ts';
import { memberBatches } from './member-batches.ts';
import { isSameEndpoint, membersOf, NetworkMembers } from './network-members.ts';

const PLACED_MS = 1_000;

/**
 * Tells each host of the networks it has members of: all of a network when a session begins or its first member comes, then what
 * changes. A record counts from the moment it is held, so that a host knows a network before the first order that needs it.
 */
export class NetworkPushes {
  readonly #state: ClusterState;
  readonly #observations: Observations;
  readonly #sessions: NodeSessions;
  readonly #members = new NetworkMembers();
  /** Networks the host at the other end knows. */
  readonly #told = new WeakMap<NodeSession, Set<string>>();
  /** Container -> until other hosts have followed what they were told of its place. */
  readonly #placing = new Map<string, Promise<void>>();
  /** `<network> <host>` -> when the host hears that it may take the network down. */
  readonly #lingering = new Map<string, NodeJS.Timeout>();
  readonly #lingerMs: number;
  readonly #stop: (() => void)[];

  /** @param lingerMs for how long a host keeps a network after its last member left: often the next one comes at once */
  constructor(state: ClusterState, observations: Observations, sessions: NodeSessions, lingerMs: number) {
    this.#lingerMs = lingerMs;
    this.#state = state;
    this.#observations = observations;
    this.#sessions = sessions;
    for (const record of state.records.values()) this.#containerChanged(record.id);
    state.onHold((id) => this.#containerChanged(id));
    observations.onChange((id) => this.#containerChanged(id));
    this.#stop = [
      state.networks.records.onChange(({ id, value, previous }) => {
        if (!value && previous) this.#networkGone(id, previous);
      }),
      state.nodes.onChange(({ id, value, previous }) => {
        const [now, before] = [value?.facts, previous?.facts];
        const isReached = now?.hostIp === before?.hostIp && isSameEndpoint(now?.wireguard, before?.wireguard);
        if (!isReached) this.#hostMoved(id);
      }),
    ];
  }

  close(): void {
    for (const stop of this.#stop) stop();
    for (const timer of this.#lingering.values()) clearTimeout(timer);
  }

  /** Containers that are in a network, whether they run or not. */
  membersOf(networkId: string): readonly networkV1.Member[] {
    return this.#members.of(networkId);
  }

  /**
   * Resolves when the other hosts of a container's networks know its place, so that the answers to its first packets find the way; undefined
   * when they do. After a second in any case: a host that does not answer holds nobody up.
   */
  placed(containerId: string): Promise<void> | undefined {
    const placing = this.#placing.get(containerId);
    return placing && Promise.race([placing, untilAborted(AbortSignal.timeout(PLACED_MS))]);
  }

  /**
   * A session's first words, before any order: the networks of the host's members.
   * @param has networks the host has from before; those it has no member of any more it may take down
   */
  begin(session: NodeSession, has: readonly string[]): void {
    const told = new Set<string>();
    this.#told.set(session, told);
    for (const networkId of [...this.#members.onHost(session.nodeId)]) this.#sendAll(session, told, networkId);
    for (const id of has) {
      if (!told.has(id))
        send(session, { network: networkV1.NetworkRecord.fromPartial({ id }), complete: true, unused: true });
    }
  }

  #containerChanged(id: string): void {
    const record = this.#state.held(id);
    const { nodes, networks } = this.#state;
    const facts = nodes.get(record?.nodeId ?? '')?.facts;
    const wanted = membersOf(record, this.#observations.status(id), {
      ip: facts?.hostIp ?? '',
      wireguard: facts?.wireguard,
      isEncrypted: (networkId) => isEncrypted(networks.records.get(networkId) ?? { options: {} }),
    });
    for (const networkId of wanted.keys()) if (!networks.records.get(networkId)) wanted.delete(networkId);
    const following: Promise<void>[] = [];
    for (const { networkId, member, moved, emptied } of this.#members.set(id, wanted)) {
      for (const nodeId of this.#members.hosts(networkId)) {
        // Its own host has followed before it makes the link.
        const asks = moved && nodeId !== member?.nodeId;
        const followed = this.#tell(nodeId, networkId, member ? { members: [member] } : { gone: [id] }, asks);
        if (followed) following.push(followed);
      }
      if (emptied !== undefined) this.#emptied(networkId, emptied);
    }
    if (following.length > 0) this.#place(id, following);
  }

  #place(id: string, following: readonly Promise<void>[]): void {
    const placing = Promise.all(following).then(() => {
      if (this.#placing.get(id) === placing) this.#placing.delete(id);
    });
    this.#placing.set(id, placing);
  }

  #networkGone(id: string, network: networkV1.NetworkRecord): void {
    const hosts = new Set(this.#members.forget(id));
    for (const key of this.#lingering.keys()) {
      const [networkId, nodeId = ''] = key.split(' ');
      if (networkId === id) hosts.add(nodeId);
    }
    for (const nodeId of hosts) this.#release(nodeId, network);
  }

  #hostMoved(nodeId: string): void {
    for (const { id } of this.#state.onNode(nodeId)) this.#containerChanged(id);
  }

  /** From here on the host hears of no change: if a member comes, it hears all anew. */
  #emptied(networkId: string, nodeId: string): void {
    const session = this.#sessions.get(nodeId);
    if (!session || !this.#told.get(session)?.delete(networkId)) return;
    const key = `${networkId} ${nodeId}`;
    clearTimeout(this.#lingering.get(key));
    const over = (): void => {
      this.#lingering.delete(key);
      const network = this.#state.networks.records.get(networkId);
      if (network && this.#sessions.get(nodeId) === session && !this.#members.has(networkId, nodeId)) {
        send(session, { network, complete: true, unused: true });
      }
    };
    this.#lingering.set(key, setTimeout(over, this.#lingerMs));
  }

  #release(nodeId: string, network: networkV1.NetworkRecord): void {
    const key = `${network.id} ${nodeId}`;
    const session = this.#sessions.get(nodeId);
    const knows = session && (this.#told.get(session)?.delete(network.id) || this.#lingering.has(key));
    clearTimeout(this.#lingering.get(key));
    this.#lingering.delete(key);
    if (knows) send(session, { network, complete: true, unused: true });
  }

  /** @param asks whether to hear when the host has followed; it may have nothing to follow */
  #tell(
    nodeId: string,
    networkId: string,
    change: Partial<networkV1.NetworkState>,
    asks: boolean,
  ): Promise<void> | undefined {
    const session = this.#sessions.get(nodeId);
    const told = session && this.#told.get(session);
    if (!told) return undefined;
    if (!told.has(networkId)) {
      this.#sendAll(session, told, networkId);
      return undefined;
    }
    const network = this.#state.networks.records.get(networkId);
    if (!network) return undefined;
    if (asks) return session.tellNetwork(stateOf({ network, ...change }));
    send(session, { network, ...change });
    return undefined;
  }

  #sendAll(session: NodeSession, told: Set<string>, networkId: string): void {
    const network = this.#state.networks.records.get(networkId);
    if (!network) return;
    told.add(networkId);
    for (const [at, members] of memberBatches(this.#members.of(networkId)).entries()) {
      send(session, { network, complete: at === 0, members });
    }
  }
}

function send(session: NodeSession, state: Partial<networkV1.NetworkState>): void {
  session.send({ $case: 'network', value: stateOf(state) });
}

function stateOf(state: Partial<networkV1.NetworkState>): networkV1.NetworkState {
  return { network: undefined, complete: false, members: [], gone: [], unused: false, seq: 0n, ...state };
}
