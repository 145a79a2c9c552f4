import { unavailable } from '@atoll/errors';
import { AckPolicy, type ConsumerConfig, type ConsumerInfo, DeliverPolicy, ReplayPolicy } from '@nats-io/jetstream';
import { createInbox, type Msg, nanos, nuid, type Subscription } from '@nats-io/transport-node';
import type { Bus } from './connection.ts';
import { untilLost } from './until-lost.ts';

export type ReadFrom =
  | { readonly kind: 'after'; readonly sequence: number }
  | { readonly kind: 'time'; readonly iso: string };

export type ReaderItem =
  | { readonly kind: 'message'; readonly message: Msg; readonly sequence: number }
  | { readonly kind: 'live' };

const HEARTBEAT_MS = 2_000;
/** Silence is counted in ticks, so a process that was starved itself does not take a queued heartbeat for a missing one. */
const TICK_MS = 1_000;
const SILENT_TICKS = 7;
const INACTIVE_MS = 10_000;
/** Header fields of JetStream's control messages (NATS ADR-15, push consumers). */
const LAST_CONSUMER_SEQUENCE = 'Nats-Last-Consumer';
const STALLED = 'Nats-Consumer-Stalled';

/** Longer than any reader waits: nothing is sent a second time. */
const ACK_WAIT_MS = 24 * 3_600_000;

/**
 * Reads a stream in order through an ephemeral push consumer with flow control: the server sends no more than was taken off, which is
 * up to 2 MiB at first, or `window` messages.
 * Throws unavailable as soon as it cannot promise that nothing is missing (gap, silence, consumer gone); the caller opens it again
 * from the last sequence it saw. Ends when `signal` aborts.
 */
export async function* readStream(
  bus: Bus,
  stream: string,
  from: ReadFrom,
  signal: AbortSignal,
  window?: number,
): AsyncGenerator<ReaderItem> {
  const inbox = createInbox();
  const subscription = bus.connection.subscribe(inbox);
  const stop = (): void => subscription.unsubscribe();
  signal.addEventListener('abort', stop, { once: true });
  const ignoreLoss = bus.onConnectionLost(stop);
  const watchdog = new Watchdog(subscription);
  let consumer: ConsumerInfo | undefined;
  try {
    signal.throwIfAborted();
    consumer = await untilLost(bus, bus.manager.consumers.add(stream, consumerConfig(inbox, from, window)));
    let live = consumer.num_pending === 0 && consumer.delivered.consumer_seq === 0;
    if (live) yield { kind: 'live' };
    let delivered = 0;
    for await (const message of subscription) {
      watchdog.busy = true;
      // Control messages are empty; of the others the headers need not be read.
      if (message.data.length === 0 && message.headers?.code) {
        const idle = answerControl(bus, message, delivered);
        // A server that waits for answers in a full window says the same as one that has no more.
        if (idle && !live && (window === undefined || (await hasTaken(bus, stream, consumer.name, delivered)))) {
          live = true;
          yield { kind: 'live' };
        }
      } else {
        const place = placeOf(message);
        if (place.delivery !== ++delivered) {
          throw unavailable(`a message of ${stream} was missed (got ${place.delivery}, expected ${delivered})`);
        }
        yield { kind: 'message', message, sequence: place.sequence };
        // One answers for all before it.
        if (window !== undefined && delivered % Math.ceil(window / 2) === 0) message.respond();
        if (!live && place.pending === 0) {
          live = true;
          yield { kind: 'live' };
        }
      }
      watchdog.alive();
    }
    if (signal.aborted) return;
    throw unavailable(`the read of ${stream} was cut: the connection was lost or the server fell silent`);
  } finally {
    watchdog.stop();
    ignoreLoss();
    signal.removeEventListener('abort', stop);
    stop();
    if (consumer && !bus.connection.isClosed()) {
      void bus.manager.consumers.delete(stream, consumer.name).catch(() => false);
    }
  }
}

function consumerConfig(inbox: string, from: ReadFrom, window: number | undefined): Partial<ConsumerConfig> {
  return {
    name: nuid.next(),
    deliver_subject: inbox,
    ...(window === undefined
      ? { ack_policy: AckPolicy.None }
      : { ack_policy: AckPolicy.All, ack_wait: nanos(ACK_WAIT_MS), max_ack_pending: window }),
    max_deliver: 1,
    replay_policy: ReplayPolicy.Instant,
    idle_heartbeat: nanos(HEARTBEAT_MS),
    flow_control: true,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(INACTIVE_MS),
    ...start(from),
  };
}

function start(from: ReadFrom): Partial<ConsumerConfig> {
  if (from.kind === 'time') return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: from.iso };
  if (from.sequence === 0) return { deliver_policy: DeliverPolicy.All };
  return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from.sequence + 1 };
}

/**
 * A delivered message's place, from its reply subject (NATS ADR-15):
 * `$JS.ACK.[domain.account.]stream.consumer.deliveries.<stream sequence>.<consumer sequence>.<time>.<pending>[.random]`.
 */
function placeOf(message: Msg): { readonly sequence: number; readonly delivery: number; readonly pending: number } {
  const tokens = (message.reply ?? '').split('.');
  const at = tokens.length === 9 ? 5 : 7;
  const [sequence, delivery, , pending] = tokens.slice(at, at + 4).map(Number);
  if (tokens[1] !== 'ACK' || sequence === undefined || delivery === undefined || pending === undefined) {
    throw unavailable('the server delivered a message without its place in the stream');
  }
  return { sequence, delivery, pending };
}

/**
 * Idle heartbeats say how far the consumer is; flow-control requests are answered once all before them is taken off. True when the
 * server has nothing more to send: a request for flow control, or a heartbeat that waits for such an answer, comes amid the backlog.
 */
function answerControl(bus: Bus, message: Msg, delivered: number): boolean {
  if (message.headers?.code !== 100) throw unavailable(`the server ended the read: ${message.headers?.description}`);
  if (message.reply) {
    bus.connection.publish(message.reply);
    return false;
  }
  const last = message.headers.get(LAST_CONSUMER_SEQUENCE);
  if (last !== '' && Number(last) > delivered) throw unavailable(`messages ${delivered + 1} to ${last} were missed`);
  const stalled = message.headers.get(STALLED);
  if (stalled !== '') bus.connection.publish(stalled);
  return stalled === '';
}

/** Whether nothing of the stream is left for a consumer after so many messages. */
async function hasTaken(bus: Bus, stream: string, consumer: string, delivered: number): Promise<boolean> {
  const now = await untilLost(bus, bus.manager.consumers.info(stream, consumer));
  return now.num_pending === 0 && now.delivered.consumer_seq === delivered;
}

/** Ends the subscription when the server was silent for too long while nobody was busy with its last message. */
class Watchdog {
  /** All that look: one timer wakes the process once a second, not one for each reader. */
  static readonly #looking = new Set<Watchdog>();
  static #timer: NodeJS.Timeout | undefined;

  busy = false;
  #ticks = 0;
  readonly #subscription: Subscription;

  constructor(subscription: Subscription) {
    this.#subscription = subscription;
    Watchdog.#looking.add(this);
    Watchdog.#timer ??= setInterval(() => {
      for (const watchdog of Watchdog.#looking) watchdog.#tick();
    }, TICK_MS).unref();
  }

  alive(): void {
    this.busy = false;
    this.#ticks = 0;
  }

  stop(): void {
    Watchdog.#looking.delete(this);
    if (Watchdog.#looking.size > 0) return;
    clearInterval(Watchdog.#timer);
    Watchdog.#timer = undefined;
  }

  #tick(): void {
    if (!this.busy && ++this.#ticks > SILENT_TICKS) this.#subscription.unsubscribe();
  }
}
