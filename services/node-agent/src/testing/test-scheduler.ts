import { AtollError, unavailable } from '@atoll/errors';
import { reasonOfGrpcCode } from '@atoll/errors/grpc';
import { containerV1, networkV1, nodeV1 } from '@atoll/proto';
import { AsyncQueue, GrpcHost, type TlsIdentity } from '@atoll/rpc';

interface Waiter {
  readonly matches: (status: containerV1.ContainerStatus) => boolean;
  readonly resolve: (status: containerV1.ContainerStatus) => void;
}

/** The leader's side of an agent's session, over real gRPC; sends what the test says. */
export class TestScheduler {
  epoch = 1n;
  subnet = '10.231.7.0/24';
  readonly nodeId: string;
  readonly statuses: containerV1.ContainerStatus[] = [];
  readonly events: string[] = [];
  /** Told at the beginning of each session. */
  readonly networks = new Map<string, networkV1.NetworkState>();
  /** Told when a session begins; undefined: nothing is. */
  ports: networkV1.PortState | undefined;
  hello: nodeV1.Hello | undefined;
  hellos = 0;
  /** What was told last of the host's own network since its hello. */
  links: nodeV1.HostLinks | undefined;
  readonly #host: GrpcHost;
  #orders: AsyncQueue<nodeV1.SessionResponse> | undefined;
  readonly #results = new Map<bigint, (result: nodeV1.OrderResult) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #sessions = new Set<() => void>();
  #nextOrder = 1n;

  constructor(tls: TlsIdentity, listen: string, nodeId: string) {
    this.nodeId = nodeId;
    const refuse = async (): Promise<never> => {
      throw unavailable('only sessions here');
    };
    this.#host = new GrpcHost({ listen, tls }).add(
      nodeV1.NodeServiceService,
      { session: ['node'], listNodes: [], updateNode: [], removeNode: [], placeBuild: [] },
      {
        session: (requests) => this.#session(requests),
        listNodes: refuse,
        updateNode: refuse,
        removeNode: refuse,
        placeBuild: refuse,
      },
    );
  }

  start(): Promise<{ address: string }> {
    return this.#host.start();
  }

  async stop(): Promise<void> {
    this.#orders?.end();
    await this.#host.stop(100);
  }

  /** Resolves when an agent has a session. */
  async session(): Promise<void> {
    if (this.#orders && !this.#orders.ended) return;
    await new Promise<void>((resolve) => this.#sessions.add(resolve));
  }

  /** Ends the present session; the agent makes another. */
  drop(): void {
    this.#orders?.end();
    this.#orders = undefined;
  }

  /** The answer of the agent, failures as the result's code. */
  async tryOrder(order: Parameters<typeof nodeV1.Order.fromPartial>[0]): Promise<nodeV1.OrderResult> {
    await this.session();
    const orderId = this.#nextOrder++;
    const result = new Promise<nodeV1.OrderResult>((resolve) => this.#results.set(orderId, resolve));
    const value = nodeV1.Order.fromPartial({ epoch: this.epoch, ...order, orderId });
    this.#orders?.push({ message: { $case: 'order', value } });
    return await result;
  }

  /** Throws what the agent answered when it did not carry the order out. */
  async order(order: Parameters<typeof nodeV1.Order.fromPartial>[0]): Promise<containerV1.ContainerStatus> {
    const { code, message, status } = await this.tryOrder(order);
    if (code !== 0) throw new AtollError(reasonOfGrpcCode(code), message);
    return status ?? containerV1.ContainerStatus.fromPartial({});
  }

  /** Tells the agent of a network, when there is a session. */
  tell(value: networkV1.NetworkState): void {
    this.#orders?.push({ message: { $case: 'network', value } });
  }

  /** Tells the agent of ports of other hosts, when there is a session. */
  tellPorts(value: networkV1.PortState): void {
    this.#orders?.push({ message: { $case: 'ports', value } });
  }

  /** A status the agent has reported, or will. */
  status(matches: Waiter['matches']): Promise<containerV1.ContainerStatus> {
    const known = this.statuses.findLast(matches);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => this.#waiters.add({ matches, resolve }));
  }

  state(id: string, state: containerV1.ContainerState): Promise<containerV1.ContainerStatus> {
    return this.status((status) => status.id === id && status.state === state);
  }

  async *#session(requests: AsyncIterable<nodeV1.SessionRequest>): AsyncIterable<nodeV1.SessionResponse> {
    const orders = new AsyncQueue<nodeV1.SessionResponse>(1_024);
    const reading = this.#read(requests, orders);
    reading.catch(() => undefined).finally(() => this.#ended(orders));
    yield* orders;
  }

  /** Orders without an answer by now will never get one. */
  #ended(orders: AsyncQueue<nodeV1.SessionResponse>): void {
    orders.end();
    if (this.#orders !== undefined && this.#orders !== orders) return;
    for (const [orderId, answer] of this.#results) {
      answer(
        nodeV1.OrderResult.fromPartial({ orderId, code: 14, message: 'the session ended', reason: 'unavailable' }),
      );
    }
    this.#results.clear();
  }

  async #read(
    requests: AsyncIterable<nodeV1.SessionRequest>,
    orders: AsyncQueue<nodeV1.SessionResponse>,
  ): Promise<void> {
    for await (const { message } of requests) {
      if (message?.$case === 'hello') this.#welcome(message.value, orders);
      else if (message?.$case === 'heartbeat') {
        orders.push({ message: { $case: 'heartbeatAck', value: { seq: message.value.seq } } });
      } else if (message?.$case === 'status') this.#observe(message.value);
      else if (message?.$case === 'links') this.links = message.value;
      else if (message?.$case === 'event') this.events.push(message.value.action);
      else if (message?.$case === 'result') {
        if (message.value.status) this.#observe(message.value.status);
        this.#results.get(message.value.orderId)?.(message.value);
        this.#results.delete(message.value.orderId);
      }
    }
  }

  #welcome(hello: nodeV1.Hello, orders: AsyncQueue<nodeV1.SessionResponse>): void {
    this.hello = hello;
    this.hellos++;
    const node = { id: this.nodeId, index: 1, containerSubnet: this.subnet };
    const value = { node, epoch: this.epoch, heartbeatIntervalMs: 10_000, clusterId: 'test-cluster' };
    orders.push({ message: { $case: 'welcome', value: nodeV1.Welcome.fromPartial(value) } });
    for (const network of this.networks.values()) {
      orders.push({ message: { $case: 'network', value: network } });
    }
    for (const id of hello.networks.filter((known) => !this.networks.has(known))) {
      const unused = networkV1.NetworkState.fromPartial({ network: { id }, complete: true, unused: true });
      orders.push({ message: { $case: 'network', value: unused } });
    }
    if (this.ports) orders.push({ message: { $case: 'ports', value: this.ports } });
    for (const status of hello.containers) this.#observe(status);
    this.#orders = orders;
    for (const resolve of this.#sessions) resolve();
    this.#sessions.clear();
  }

  #observe(status: containerV1.ContainerStatus): void {
    this.statuses.push(status);
    for (const waiter of [...this.#waiters]) {
      if (!waiter.matches(status)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(status);
    }
  }
}
