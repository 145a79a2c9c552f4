import type { containerV1 } from '@atoll/proto';
import type { ForwardedPort, Target } from '../ports/forwarded-port.ts';
import { PortForwarder } from '../ports/port-forwarder.ts';
import { dockerState } from '../resources/container/container-state.ts';
import type { ContainerView } from '../resources/container/container-view.ts';
import { publishedPorts } from '../resources/container/gateway-addresses.ts';
import { addressOnHost } from '../resources/container/networks-view.ts';
import type { ClusterState } from './cluster-state.ts';

type OnError = (container: string, port: ForwardedPort, error: unknown) => void;

/** Keeps the published ports of running containers open on this machine, as the mirror shows them. */
export class PublishedPorts {
  readonly #state: ClusterState;
  readonly #forwarder: PortForwarder;
  /** Containers a start is under way for: the mirror does not show them running yet. */
  readonly #held = new Map<string, number>();
  #stop: (() => void) | undefined;

  readonly #isOwnAddress: (address: string) => boolean;

  constructor(state: ClusterState, isOwnAddress: (address: string) => boolean, onError: OnError) {
    this.#state = state;
    this.#isOwnAddress = isOwnAddress;
    this.#forwarder = new PortForwarder({
      targetOf: (owner, port) => this.#target(owner, port),
      loopbackOnly: (owner, port) => this.#isLocal(state.get(owner)) || (isEverywhere(port) && this.#machineIsHost()),
      onError,
    });
  }

  start(): void {
    this.#stop = this.#state.onContainerChange((id) => this.#follow(id));
    for (const view of this.#state.list()) this.#follow(view.record.id);
  }

  async stop(): Promise<void> {
    this.#stop?.();
    await this.#forwarder.closeAll();
  }

  /** Whether ports nobody asked for by number can be listened on here: the scheduler does not know what else this machine runs. */
  async areFree(owner: string, ports: readonly containerV1.PortBinding[]): Promise<boolean> {
    const probe = `probe ${owner}`;
    try {
      await this.#forwarder.open(
        probe,
        ports.filter(({ protocol, hostOnly, gatewayIp }) => protocol !== 'sctp' && (!hostOnly || gatewayIp !== '')),
      );
      return true;
    } catch {
      return false;
    } finally {
      await this.#forwarder.close(probe);
    }
  }

  /** Whether an address is one of a host of the cluster. */
  isOfHost(address: string): boolean {
    return this.#state
      .nodes()
      .some(({ record: { facts } }) => facts?.hostIp === address || facts?.hostIpv6 === address);
  }

  /** Whether every host is this machine: then hosts publish on the addresses asked for themselves. */
  hostsAreHere(): boolean {
    return this.#state.nodes().every(({ record }) => this.#isOwnAddress(record.facts?.hostIp ?? ''));
  }

  /**
   * Runs a start with the container's ports open before it answers. On a machine that is itself the container's host the agent
   * checks that the ports are free, so there they are opened after it.
   * @throws conflict `Bind for 0.0.0.0:8080 failed: port is already allocated`; `undo` has run then when the start had succeeded
   */
  async during<T>(view: ContainerView, begin: () => Promise<T>, undo: () => Promise<unknown>): Promise<T> {
    const { id } = view.record;
    if (publishedPorts(view).length === 0) return begin();
    const opened = async (): Promise<T> => {
      // What the scheduler picks it may pick anew.
      if (this.#isLocal(view)) await this.#forwarder.close(id);
      else
        await this.#forwarder.open(
          id,
          this.#served(view, (at) => isAskedFor(view, at)),
        );
      return begin();
    };
    return this.changing(id, opened, undo);
  }

  /** Runs a change of a container with its ports, as they are afterwards, open before it answers. @throws as `during` */
  async changing<T>(id: string, change: () => Promise<T>, undo: () => Promise<unknown>): Promise<T> {
    this.#hold(id);
    try {
      const result = await change();
      const now = this.#state.get(id);
      if (now !== undefined && this.#isOpen(now)) {
        await this.#forwarder.open(id, this.#served(now)).catch(async (error: unknown) => {
          await undo();
          throw error;
        });
      }
      return result;
    } finally {
      this.#release(id);
      this.#follow(id);
    }
  }

  #follow(id: string): void {
    if (this.#held.has(id)) return;
    const view = this.#state.get(id);
    const ports = view === undefined ? [] : this.#served(view);
    this.#forwarder.follow(id, view !== undefined && ports.length > 0 && this.#isOpen(view) ? ports : []);
  }

  /** Ports this machine has to listen for. Ports of one host, and of one host's address, are that host's. */
  #served(view: ContainerView, which: (at: number) => boolean = () => true): readonly containerV1.PortBinding[] {
    const local = this.#isLocal(view);
    return publishedPorts(view).filter((port, at) => {
      if (port.protocol === 'sctp' || !which(at)) return false;
      return local || port.gatewayIp !== '' || (!port.hostOnly && isEverywhere(port));
    });
  }

  #target(owner: string, port: ForwardedPort): Target | undefined {
    const view = this.#state.get(owner);
    if (view === undefined) return undefined;
    const host = this.#isLocal(view) ? addressOnHost(view) : view.node?.facts?.hostIp;
    if (host === undefined || host === '') return undefined;
    return { host, port: this.#isLocal(view) ? port.containerPort : port.hostPort };
  }

  #hold(id: string): void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
  }

  #release(id: string): void {
    const count = (this.#held.get(id) ?? 1) - 1;
    if (count === 0) this.#held.delete(id);
    else this.#held.set(id, count);
  }

  /** Whether a host is this machine: its agent forwards what is published on all hosts. */
  #machineIsHost(): boolean {
    return this.#state.nodes().some(({ record }) => this.#isOwnAddress(record.facts?.hostIp ?? ''));
  }

  /** Whether the container's host is this very machine, in this network namespace. */
  #isLocal(view: ContainerView | undefined): boolean {
    const address = view?.node?.facts?.hostIp ?? '';
    return address !== '' && this.#isOwnAddress(address);
  }

  /** Between two runs of a restart policy the ports stay open, unless the agent of this very machine has to take them again. */
  #isOpen(view: ContainerView): boolean {
    const state = dockerState(view);
    return state === 'running' || state === 'paused' || (state === 'restarting' && !this.#isLocal(view));
  }
}

function isEverywhere({ hostIp }: ForwardedPort): boolean {
  return hostIp === '' || hostIp === '0.0.0.0';
}

/** By number, so that it is no other when the container starts. */
function isAskedFor({ spec }: ContainerView, at: number): boolean {
  const port = spec.network?.ports[at];
  return port !== undefined && port.hostPort !== 0 && port.hostPortEnd === 0;
}
