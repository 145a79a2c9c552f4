import type { containerV1 } from '@atoll/proto';
import type { ContainerPorts } from '../resources/container/backend.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import { keepAddressHere, knownToClients } from '../resources/container/gateway-addresses.ts';
import type { ClusterState } from './cluster-state.ts';
import type { LeaderCaller } from './leader-caller.ts';
import type { PublishedPorts } from './published-ports.ts';

const UNDO_MS = 30_000;

type Ports = readonly containerV1.PortBinding[];

/** Ports of containers that exist, through the scheduler's leader; the gateway's own listeners follow before the answer. */
export class PortBackend implements ContainerPorts {
  readonly #state: ClusterState;
  readonly #leader: LeaderCaller;
  readonly #ports: PublishedPorts;

  constructor(state: ClusterState, leader: LeaderCaller, ports: PublishedPorts) {
    this.#state = state;
    this.#leader = leader;
    this.#ports = ports;
  }

  async publishPorts(view: ContainerView, asked: Ports, signal: AbortSignal): Promise<Ports> {
    const { id } = view.record;
    const before = new Set(view.record.ports.map(textOf));
    let published: Ports = [];
    const publish = async (): Promise<void> => {
      const request = { id, ports: this.#onHosts(asked) };
      const answer = await this.#leader.call((client, how) => client.publishPorts(request, how), signal);
      this.#state.applyRecord(answer.record);
      published = answer.ports;
    };
    const undo = async (): Promise<void> => {
      const fresh = published.filter((port) => !before.has(textOf(port)));
      if (fresh.length > 0) await this.#withdraw(id, fresh, AbortSignal.timeout(UNDO_MS));
    };
    await this.#ports.changing(id, publish, undo);
    return published.map(knownToClients);
  }

  async withdrawPorts({ record: { id } }: ContainerView, asked: Ports, signal: AbortSignal): Promise<Ports> {
    const ports = await this.#withdraw(id, this.#onHosts(asked), signal);
    return ports.map(knownToClients);
  }

  async #withdraw(id: string, ports: Ports, signal: AbortSignal): Promise<Ports> {
    const request = { id, ports: [...ports] };
    const answer = await this.#leader.call((client, how) => client.withdrawPorts(request, how), signal);
    this.#state.applyRecord(answer.record);
    return answer.ports;
  }

  #onHosts(ports: Ports): containerV1.PortBinding[] {
    if (this.#ports.hostsAreHere()) return [...ports];
    return ports.map((port) => keepAddressHere(port, (address) => this.#ports.isOfHost(address)));
  }
}

function textOf({ hostIp, gatewayIp, hostPort, containerPort, protocol }: containerV1.PortBinding): string {
  return `${hostIp} ${gatewayIp} ${hostPort} ${containerPort} ${protocol}`;
}
