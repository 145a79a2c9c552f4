import { networkV1 } from '@atoll/proto';
import type { ClusterPorts, PortOwner } from '../cluster-ports.ts';
import type { ClusterState } from '../cluster-state.ts';
import type { NodeSession } from '../node-session.ts';
import type { NodeSessions } from '../node-sessions.ts';

/** Of one message: about 300 KiB. */
const MESSAGE_PORTS = 4_096;

/**
 * Tells each host which published ports containers of other hosts have: all when its session begins, then what changes. A change
 * costs one message a host, whatever else the cluster publishes.
 */
export class PortPushes {
  readonly #state: ClusterState;
  readonly #ports: ClusterPorts;
  readonly #sessions: NodeSessions;
  readonly #begun = new WeakSet<NodeSession>();
  readonly #stop: () => void;

  constructor(state: ClusterState, ports: ClusterPorts, sessions: NodeSessions) {
    this.#state = state;
    this.#ports = ports;
    this.#sessions = sessions;
    ports.onChange((changes) => {
      for (const session of this.#sessions.all()) {
        const here = (owner: PortOwner | undefined): boolean => owner?.nodeId === session.nodeId;
        const told = changes.filter(({ after }) => after && !here(after));
        const gone = changes.filter(({ before, after }) => before && !here(before) && (!after || here(after)));
        this.#tell(
          session,
          told.map(({ key, after }) => this.#port(key, after)),
          gone.map(({ key }) => this.#port(key, undefined)),
        );
      }
    });
    this.#stop = state.nodes.onChange(({ id, value, previous }) => {
      const [now, before] = [value?.facts, previous?.facts];
      if (now && (now.hostIp !== before?.hostIp || now.hostIpv6 !== before.hostIpv6)) this.#hostMoved(id);
    });
  }

  close(): void {
    this.#stop();
  }

  /** A session's first words about ports. */
  begin(session: NodeSession): void {
    this.#begun.add(session);
    const all = [...this.#ports.owners()].filter(([, owner]) => owner.nodeId !== session.nodeId);
    const ports = all.map(([key, owner]) => this.#port(key, owner));
    for (let at = 0; at === 0 || at < ports.length; at += MESSAGE_PORTS) {
      const end = at + MESSAGE_PORTS;
      send(session, { complete: at === 0, more: end < ports.length, ports: ports.slice(at, end) });
    }
  }

  #tell(session: NodeSession, ports: networkV1.ForwardedPort[], gone: networkV1.ForwardedPort[]): void {
    if (!this.#begun.has(session)) return;
    for (let at = 0; at < Math.max(ports.length, gone.length); at += MESSAGE_PORTS) {
      const end = at + MESSAGE_PORTS;
      send(session, { ports: ports.slice(at, end), gone: gone.slice(at, end) });
    }
  }

  #hostMoved(nodeId: string): void {
    const moved = [...this.#ports.owners()].filter(([, owner]) => owner.nodeId === nodeId);
    const ports = moved.map(([key, owner]) => this.#port(key, owner));
    for (const session of this.#sessions.all()) if (session.nodeId !== nodeId) this.#tell(session, ports, []);
  }

  #port(key: string, owner: PortOwner | undefined): networkV1.ForwardedPort {
    const [hostPort = '', protocol = ''] = key.split('/');
    const facts = this.#state.nodes.get(owner?.nodeId ?? '')?.facts;
    return {
      protocol,
      hostPort: Number(hostPort),
      hostIp: facts?.hostIp ?? '',
      hostIpv6: owner?.ipv6 ? (facts?.hostIpv6 ?? '') : '',
    };
  }
}

function send(session: NodeSession, state: Partial<networkV1.PortState>): void {
  session.send({ $case: 'ports', value: networkV1.PortState.fromPartial(state) });
}
