import { setTimeout as sleep } from 'node:timers/promises';
import { type AtollError, asAtollError, failedPrecondition } from '@atoll/errors';
import { grpcCodeOf } from '@atoll/errors/grpc';
import { type containerV1, type eventV1, type networkV1, nodeV1 } from '@atoll/proto';
import { AsyncQueue, ChannelPool, type TlsIdentity } from '@atoll/rpc';
import { SimulatedContainers } from './simulated-containers.ts';
import { SimulatedNetworks } from './simulated-networks.ts';
import { SimulatedPorts } from './simulated-ports.ts';

export interface SimulatedAgentOptions {
  /** A node's certificate; its id is the agent's. */
  readonly tls: TlsIdentity;
  /** The scheduler's replicas. */
  readonly schedulers: readonly string[];
  readonly facts?: Partial<nodeV1.NodeFacts>;
  /** Called before an order is carried out; what it throws is the agent's refusal. */
  readonly onOrder?: (order: nodeV1.Order) => Promise<void> | void;
}

/** Orders after which a container's links are what its record says. */
const LINKING: ReadonlySet<nodeV1.Action> = new Set([
  nodeV1.Action.ENSURE,
  nodeV1.Action.START,
  nodeV1.Action.RESTART,
  nodeV1.Action.CONNECT,
]);
const RETRY_MS = 50;
const OUTBOX = 4_096;

/** An agent that speaks the real protocol over real mTLS and simulates only the containers. */
export class SimulatedAgent {
  readonly id: string;
  readonly containers: SimulatedContainers;
  readonly networks = new SimulatedNetworks();
  readonly ports = new SimulatedPorts();
  readonly #options: SimulatedAgentOptions;
  readonly #channels: ChannelPool;
  #life = new AbortController();
  #run: Promise<void> | undefined;
  #outbox: AsyncQueue<nodeV1.SessionRequest> | undefined;
  #epoch = 0n;
  #clusterId = '';
  #welcome: nodeV1.Welcome | undefined;
  #lastError: AtollError | undefined;
  #frozen = false;

  constructor(options: SimulatedAgentOptions) {
    this.#options = options;
    this.id = options.tls.id;
    this.containers = new SimulatedContainers(this.id);
    this.#channels = new ChannelPool(options.tls);
  }

  /** What the scheduler said when the session began; undefined while there is none. */
  get welcome(): nodeV1.Welcome | undefined {
    return this.#welcome;
  }

  /** Highest epoch obeyed. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** As if it had obeyed this leader meanwhile. */
  obeyed(epoch: bigint): void {
    this.#epoch = epoch;
  }

  get lastError(): AtollError | undefined {
    return this.#lastError;
  }

  /** Connects, and connects again until stopped. */
  start(): this {
    this.#life = new AbortController();
    this.#run = this.#connectForEver(this.#life.signal);
    return this;
  }

  /** As if the host lost power: no goodbye, no more heartbeats. Its containers stay for the next start. */
  async stop(): Promise<void> {
    this.#life.abort();
    await this.#run;
    this.#run = undefined;
  }

  /** Goes on being connected, says nothing more, and does not come back while it is frozen. */
  freeze(frozen = true): void {
    this.#frozen = frozen;
  }

  async close(): Promise<void> {
    await this.stop();
    this.#channels.close();
  }

  /** Resolves when a session is open. */
  async connected(signal: AbortSignal = AbortSignal.timeout(15_000)): Promise<nodeV1.Welcome> {
    while (!this.#welcome) await sleep(5, undefined, { signal });
    return this.#welcome;
  }

  report(status: containerV1.ContainerStatus): void {
    this.#say({ $case: 'status', value: status });
  }

  tell(event: eventV1.Event): void {
    this.#say({ $case: 'event', value: event });
  }

  /** As when interfaces of the host come or go. */
  relink(links: Partial<nodeV1.HostLinks>): void {
    this.#say({ $case: 'links', value: nodeV1.HostLinks.fromPartial(links) });
  }

  exit(id: string, exitCode: number): void {
    this.report(this.containers.exit(id, exitCode));
  }

  async #connectForEver(signal: AbortSignal): Promise<void> {
    let target: string | undefined;
    for (let turn = 0; !signal.aborted; turn++) {
      while (this.#frozen && !signal.aborted) await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const address = target ?? this.#options.schedulers[turn % this.#options.schedulers.length] ?? '';
      target = undefined;
      try {
        await this.#session(address, signal);
      } catch (error) {
        this.#lastError = asAtollError(error);
        target = this.#lastError.details['leader'];
      }
      this.#welcome = undefined;
      if (target === undefined) await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #session(address: string, signal: AbortSignal): Promise<void> {
    const outbox = new AsyncQueue<nodeV1.SessionRequest>(OUTBOX);
    this.#outbox = outbox;
    outbox.push({ message: { $case: 'hello', value: this.#hello() } });
    const client = this.#channels.get(address, 'scheduler').client(nodeV1.NodeServiceService);
    let beat: NodeJS.Timeout | undefined;
    let seq = 0n;
    try {
      for await (const { message } of client.session(outbox, { signal })) {
        if (message?.$case === 'welcome') {
          if (message.value.epoch > this.#epoch) this.#epoch = message.value.epoch;
          this.#clusterId = message.value.clusterId;
          this.#welcome = message.value;
          beat = setInterval(
            () => this.#say({ $case: 'heartbeat', value: { seq: ++seq } }),
            message.value.heartbeatIntervalMs,
          );
        } else if (message?.$case === 'network') {
          this.networks.hear(message.value);
          void this.#follow(message.value);
        } else if (message?.$case === 'ports') {
          this.ports.hear(message.value);
        } else if (message?.$case === 'order') {
          void this.#obey(message.value, outbox);
        }
      }
    } finally {
      clearInterval(beat);
      outbox.end();
    }
  }

  #hello(): nodeV1.Hello {
    return nodeV1.Hello.fromPartial({
      facts: {
        hostname: this.id,
        address: '127.0.0.1:1',
        os: 'linux',
        architecture: 'amd64',
        memoryBytes: 8n * 1024n ** 3n,
        nanoCpus: 4_000_000_000n,
        hostIp: '127.0.0.1',
        ...this.#options.facts,
      },
      containers: this.containers.list(),
      epoch: this.#epoch,
      clusterId: this.#clusterId,
      networks: this.networks.ids(),
    });
  }

  async #obey(order: nodeV1.Order, outbox: AsyncQueue<nodeV1.SessionRequest>): Promise<void> {
    let result: Partial<nodeV1.OrderResult>;
    try {
      if (order.epoch < this.#epoch) {
        throw failedPrecondition(`epoch ${order.epoch} is over, this host obeys ${this.#epoch}`);
      }
      this.#epoch = order.epoch;
      if (order.record && LINKING.has(order.action)) this.networks.require(order.record);
      await this.#options.onOrder?.(order);
      result = { code: 0, ...this.containers.obey(order, (status) => this.report(status)) };
    } catch (error) {
      const refusal = asAtollError(error);
      result = { code: grpcCodeOf(refusal.reason), reason: refusal.reason, message: refusal.message };
    }
    if (this.#frozen) return;
    outbox.push({
      message: { $case: 'result', value: nodeV1.OrderResult.fromPartial({ ...result, orderId: order.orderId }) },
    });
  }

  async #follow({ seq }: networkV1.NetworkState): Promise<void> {
    await this.networks.following;
    if (seq !== 0n) this.#say({ $case: 'networkFollowed', value: { seq } });
  }

  #say(message: NonNullable<nodeV1.SessionRequest['message']>): void {
    if (!this.#frozen) this.#outbox?.push({ message });
  }
}
