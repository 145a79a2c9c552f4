import {
  asAtollError,
  deadlineExceeded,
  failedPrecondition,
  invalidArgument,
  permissionDenied,
  unavailable,
} from '@atoll/errors';
import { containerV1, type nodeV1 } from '@atoll/proto';
import type { ContainerRemoval } from './container-removal.ts';
import type { NodeRegistry } from './node-registry.ts';
import type { NodeSession } from './node-session.ts';
import type { Resync } from './resync.ts';
import type { TermParts } from './term-parts.ts';
import type { VolumeLeftovers } from './volume/volume-leftovers.ts';

const HELLO_WITHIN_MS = 10_000;
const MAX_CONTAINERS = 100_000;
/** More than a cluster can have at a time: a host may know many that are gone. */
const MAX_NETWORKS = 65_536;

export interface SessionSettings {
  readonly clusterId: string;
  readonly heartbeatMs: number;
  readonly gateways: readonly string[];
}

const MAX_LINKS = 256;
const MAX_LINK_BYTES = 64;

/** The agents' sessions: who they are is their certificate's word, what they say counts only for what is theirs. */
export class SessionService {
  readonly #parts: TermParts;
  readonly #registry: NodeRegistry;
  readonly #resync: Resync;
  readonly #removal: ContainerRemoval;
  readonly #leftovers: VolumeLeftovers;
  readonly #settings: SessionSettings;

  constructor(
    parts: TermParts,
    registry: NodeRegistry,
    collaborators: {
      readonly resync: Resync;
      readonly removal: ContainerRemoval;
      readonly leftovers: VolumeLeftovers;
    },
    settings: SessionSettings,
  ) {
    this.#parts = parts;
    this.#registry = registry;
    this.#resync = collaborators.resync;
    this.#removal = collaborators.removal;
    this.#leftovers = collaborators.leftovers;
    this.#settings = settings;
  }

  /** Serves one session until the agent ends it, a newer one takes its place, or the term ends. */
  async *serve(
    nodeId: string,
    requests: AsyncIterable<nodeV1.SessionRequest>,
    signal: AbortSignal,
  ): AsyncGenerator<nodeV1.SessionResponse> {
    const session = this.#parts.sessions.create(nodeId);
    const life = AbortSignal.any([signal, this.#parts.signal]);
    const onEnd = (): void =>
      session.end(unavailable('this scheduler does not lead any more; look for the leader', { cause: life.reason }));
    life.addEventListener('abort', onEnd, { once: true });
    const reading = this.#read(session, requests[Symbol.asyncIterator]()).then(
      () => session.end(unavailable('the agent ended its session')),
      (error: unknown) => session.end(asAtollError(error)),
    );
    try {
      yield* session.outbox;
    } finally {
      life.removeEventListener('abort', onEnd);
      this.#parts.sessions.close(session, unavailable('the session is over'));
    }
    await reading;
  }

  async #read(session: NodeSession, requests: AsyncIterator<nodeV1.SessionRequest>): Promise<void> {
    const hello = await this.#hello(requests);
    await this.#welcome(session, hello);
    for (;;) {
      const next = await requests.next();
      if (next.done) return;
      this.#parts.health.heard(session.nodeId);
      this.#hear(session, next.value);
    }
  }

  async #hello(requests: AsyncIterator<nodeV1.SessionRequest>): Promise<nodeV1.Hello> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(deadlineExceeded('the agent did not say hello within 10 s')), HELLO_WITHIN_MS);
    });
    try {
      const first = await Promise.race([requests.next(), late]);
      const message = first.done ? undefined : first.value.message;
      if (message?.$case !== 'hello') throw invalidArgument('a session begins with a hello');
      return message.value;
    } finally {
      clearTimeout(timer);
    }
  }

  async #welcome(session: NodeSession, hello: nodeV1.Hello): Promise<void> {
    const { epoch, sessions, log } = this.#parts;
    const { clusterId, heartbeatMs, gateways } = this.#settings;
    if (!hello.facts) throw invalidArgument('the hello says nothing about the host');
    if (hello.clusterId !== '' && hello.clusterId !== clusterId) {
      throw failedPrecondition(
        `the host belongs to cluster ${hello.clusterId}, this is ${clusterId}: it keeps what it runs`,
      );
    }
    if (hello.epoch > epoch) {
      throw unavailable(
        `the host obeyed epoch ${hello.epoch}, this scheduler leads epoch ${epoch}: look for the leader`,
      );
    }
    if (hello.containers.length > MAX_CONTAINERS)
      throw invalidArgument(`more than ${MAX_CONTAINERS} containers in one hello`);
    if (hello.networks.length > MAX_NETWORKS) throw invalidArgument(`more than ${MAX_NETWORKS} networks in one hello`);
    this.#assertOwn(session.nodeId, hello.containers);
    const node = await this.#registry.register(session.nodeId, hello.facts);
    session.send({
      $case: 'welcome',
      value: { node, epoch, heartbeatIntervalMs: heartbeatMs, clusterId, gateways: [...gateways] },
    });
    this.#parts.pushes.begin(session, hello.networks);
    this.#parts.portPushes.begin(session);
    sessions.open(session);
    this.#registry.up(session.nodeId);
    log.info(
      { node: session.nodeId, host: hello.facts.hostname, containers: hello.containers.length },
      'host connected',
    );
    this.#leftovers.sessionBegan(session.nodeId);
    this.#resync.run(session.nodeId, hello.containers);
    for (const status of hello.containers) this.#afterStatus(status);
  }

  #hear(session: NodeSession, request: nodeV1.SessionRequest): void {
    const { message } = request;
    switch (message?.$case) {
      case 'heartbeat':
        session.send({ $case: 'heartbeatAck', value: { seq: message.value.seq } });
        return;
      case 'status':
        this.#assertOwn(session.nodeId, [message.value]);
        this.#status(session.nodeId, message.value);
        return;
      case 'result':
        if (message.value.status) this.#assertOwn(session.nodeId, [message.value.status]);
        session.settle(message.value);
        return;
      case 'links':
        checkLinks(message.value);
        // Of a session that has ended the host's newer one knows better.
        if (this.#parts.sessions.get(session.nodeId) === session) this.#registry.relink(session.nodeId, message.value);
        return;
      case 'networkFollowed':
        session.followed(message.value);
        return;
      case 'progress':
        session.progress(message.value);
        return;
      case 'event': {
        const record = this.#parts.state.records.get(message.value.actorId);
        if (record?.nodeId === session.nodeId) this.#parts.events.relay(record, message.value);
        return;
      }
      default:
        throw invalidArgument(
          'a session carries one hello, then heartbeats, statuses, results, progress, links and events',
        );
    }
  }

  #status(nodeId: string, status: containerV1.ContainerStatus): void {
    const record = this.#parts.state.records.get(status.id);
    // The last word on a container that is gone, or on a copy that was placed elsewhere.
    if (record?.nodeId !== nodeId || status.state === containerV1.ContainerState.REMOVED) return;
    if (this.#parts.observations.report(record, status)) this.#afterStatus(status);
  }

  #afterStatus(status: containerV1.ContainerStatus): void {
    const record = this.#parts.state.records.get(status.id);
    if (!record?.spec?.autoRemove || record.nodeId !== status.nodeId) return;
    if (status.state === containerV1.ContainerState.EXITED) this.#removal.autoRemove(status.id);
  }

  /** Errors: permission-denied when a node speaks of another node's containers. */
  #assertOwn(nodeId: string, statuses: readonly containerV1.ContainerStatus[]): void {
    const foreign = statuses.find((status) => status.nodeId !== nodeId);
    if (foreign) throw permissionDenied(`node ${nodeId} may not report for node ${foreign.nodeId || '(none)'}`);
  }
}

/** Errors: invalid-argument. */
function checkLinks({ onLinkRoutes, parentInterfaces }: nodeV1.HostLinks): void {
  for (const list of [onLinkRoutes, parentInterfaces]) {
    if (list.length <= MAX_LINKS && list.every((one) => Buffer.byteLength(one) <= MAX_LINK_BYTES)) continue;
    throw invalidArgument(
      `a host tells of at most ${MAX_LINKS} routes and interfaces, of ${MAX_LINK_BYTES} bytes each`,
    );
  }
}
