import { asAtollError, unavailable } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { type containerV1, type eventV1, type networkV1, nodeV1 } from '@atoll/proto';
import { AsyncQueue, type Channel, type Role } from '@atoll/rpc';
import { BackOff } from './back-off.ts';
import type { LeaderFinder } from './leader-finder.ts';
import type { NodeMemory } from './node-memory.ts';
import { StatusReports } from './status-reports.ts';

/** What the session needs of the agent. */
export interface SessionDelegate {
  /** What the host is and has now. */
  facts(): Promise<nodeV1.NodeFacts>;
  containers(): readonly containerV1.ContainerStatus[];
  /** Ids of the networks of users this host has. */
  networks(): readonly string[];
  /**
   * The leader has admitted this node; awaited before its orders are obeyed. `isNew`: another one led before, and what it had begun
   * is nobody's any more.
   */
  welcomed(node: nodeV1.NodeRecord, gateways: readonly string[], isNew: boolean): Promise<void>;
  /** Takes over what the leader tells of a network before it returns; orders that come later can rely on it. Resolves when the kernel has followed. */
  network(state: networkV1.NetworkState): Promise<void>;
  /** Takes over what the leader tells of other hosts' published ports. */
  ports(state: networkV1.PortState): void;
  /** Obeys one order; never rejects. Orders of several containers run at the same time. */
  obey(order: nodeV1.Order): Promise<nodeV1.OrderResult>;
}

export interface ChannelSource {
  get(address: string, serverRole: Role): Channel;
}

export interface SessionOptions {
  readonly channels: ChannelSource;
  readonly leaders: LeaderFinder;
  readonly memory: NodeMemory;
  readonly delegate: SessionDelegate;
  readonly logger: Logger;
}

/** Reports that wait to be sent. When they are more the session is closed: the next one begins with the whole state. */
const OUTBOX_LIMIT = 8_192;
const WELCOME_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = 1_000;
/** A leader that has not acknowledged a heartbeat for so many intervals is taken for gone. */
const SILENT_INTERVALS = 4;

/** Keeps one session with the schedulers' leader, for ever. Without one everything on this host goes on as it is. */
export class Session {
  readonly #options: SessionOptions;
  #outbox: AsyncQueue<nodeV1.SessionRequest> | undefined;
  #seq = 0n;
  readonly #reports = new StatusReports((value) => this.#send({ $case: 'status', value }));

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#outbox !== undefined;
  }

  report(status: containerV1.ContainerStatus): void {
    this.#reports.add(status);
  }

  event(event: eventV1.Event): void {
    // What is told of a container stays in order.
    this.#reports.flush();
    this.#send({ $case: 'event', value: event });
  }

  /** How far an order of this session is. */
  progress(progress: nodeV1.OrderProgress): void {
    this.#send({ $case: 'progress', value: progress });
  }

  /** What of the host's own network has changed; false without a session, whose hello will say it. */
  links(links: nodeV1.HostLinks): boolean {
    this.#send({ $case: 'links', value: links });
    return this.connected;
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { leaders, logger } = this.#options;
    const backOff = new BackOff(50, 2_000);
    while (!signal.aborted) {
      const address = leaders.next();
      try {
        await this.#hold(address, signal, () => {
          leaders.worked(address);
          backOff.reset();
        });
        if (signal.aborted) return;
        logger.info({ scheduler: address }, 'session ended');
      } catch (error) {
        if (signal.aborted) return;
        const named = leaders.failed(address, error);
        logger.info({ scheduler: address, reason: asAtollError(error).message }, 'no session');
        if (named) continue;
      }
      await backOff.pause(signal).catch(() => undefined);
    }
  }

  async #hold(address: string, signal: AbortSignal, established: () => void): Promise<void> {
    const { channels, delegate, memory, logger } = this.#options;
    const outbox = new AsyncQueue<nodeV1.SessionRequest>(OUTBOX_LIMIT);
    const ended = new AbortController();
    const watchdog = new Watchdog(WELCOME_TIMEOUT_MS, () =>
      ended.abort(unavailable(`scheduler ${address} does not answer`)),
    );
    let heartbeat: NodeJS.Timeout | undefined;
    try {
      const facts = await delegate.facts();
      // The snapshot and the queue that takes later changes begin in one step: no change falls between them.
      this.#reports.drop();
      outbox.push(hello(facts, delegate, memory));
      this.#outbox = outbox;
      const client = channels.get(address, 'scheduler').client(nodeV1.NodeServiceService);
      const responses = client.session(outbox, { signal: AbortSignal.any([signal, ended.signal]) });
      for await (const { message } of responses) {
        watchdog.feed();
        if (message?.$case === 'welcome') {
          const welcome = message.value;
          const node = welcome.node ?? nodeV1.NodeRecord.fromPartial({});
          const isNew = welcome.epoch > memory.epoch;
          await memory.obey(welcome.epoch, welcome.clusterId, node.containerSubnet);
          await delegate.welcomed(node, welcome.gateways, isNew);
          established();
          logger.info({ scheduler: address, epoch: welcome.epoch.toString(), node: node.id }, 'session established');
          const interval = welcome.heartbeatIntervalMs || HEARTBEAT_MS;
          watchdog.limit(interval * SILENT_INTERVALS);
          clearInterval(heartbeat);
          heartbeat = setInterval(() => this.#beat(), interval);
        } else if (message?.$case === 'network') {
          void this.#follow(message.value, outbox);
        } else if (message?.$case === 'ports') {
          delegate.ports(message.value);
        } else if (message?.$case === 'order') {
          void this.#obey(message.value, outbox);
        }
      }
    } catch (error) {
      throw ended.signal.aborted ? ended.signal.reason : error;
    } finally {
      clearInterval(heartbeat);
      watchdog.stop();
      if (this.#outbox === outbox) this.#outbox = undefined;
      outbox.end();
    }
  }

  #beat(): void {
    this.#seq++;
    this.#send({ $case: 'heartbeat', value: { seq: this.#seq } });
  }

  async #obey(order: nodeV1.Order, outbox: AsyncQueue<nodeV1.SessionRequest>): Promise<void> {
    const result = await this.#options.delegate.obey(order);
    this.#reports.told(result.status);
    // The answer belongs to the session that asked; a later leader asks again.
    if (!outbox.push({ message: { $case: 'result', value: result } })) outbox.end();
  }

  async #follow(state: networkV1.NetworkState, outbox: AsyncQueue<nodeV1.SessionRequest>): Promise<void> {
    const { seq } = state;
    await this.#options.delegate.network(state);
    if (seq === 0n) return;
    if (!outbox.push({ message: { $case: 'networkFollowed', value: { seq } } })) outbox.end();
  }

  #send(message: NonNullable<nodeV1.SessionRequest['message']>): void {
    const outbox = this.#outbox;
    if (outbox && !outbox.push({ message })) outbox.end();
  }
}

function hello(facts: nodeV1.NodeFacts, delegate: SessionDelegate, memory: NodeMemory): nodeV1.SessionRequest {
  const value = {
    facts,
    containers: [...delegate.containers()],
    epoch: memory.epoch,
    clusterId: memory.clusterId,
    networks: [...delegate.networks()],
  };
  return { message: { $case: 'hello', value } };
}

/** Calls back once when it is not fed for a time. */
class Watchdog {
  #timer: NodeJS.Timeout | undefined;
  #ms: number;
  readonly #bite: () => void;

  constructor(ms: number, bite: () => void) {
    this.#ms = ms;
    this.#bite = bite;
    this.feed();
  }

  limit(ms: number): void {
    this.#ms = ms;
    this.feed();
  }

  feed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#bite, this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
