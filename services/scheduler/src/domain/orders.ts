import type { AtollError } from '@atoll/errors';
import { asAtollError } from '@atoll/errors';
import { type containerV1, nodeV1 } from '@atoll/proto';
import type { NodeSessions } from './node-sessions.ts';
import type { Observations } from './observations.ts';

export interface OrderOptions {
  readonly signal?: AbortSignal;
  readonly signalName?: string;
  readonly timeoutSeconds?: bigint | undefined;
  readonly force?: boolean;
  readonly volumes?: boolean;
  /** For how long the answer is waited for; undefined: as long as the session lives. */
  readonly waitMs?: number | undefined;
}

export interface OrderOutcome {
  readonly status: containerV1.ContainerStatus | undefined;
  readonly unchanged: boolean;
}

/** How long answers are waited for when the caller does not say; a start may have to wait for layers to arrive. */
const DEFAULT_WAIT_MS: Readonly<Partial<Record<nodeV1.Action, number>>> = {
  [nodeV1.Action.ENSURE]: 10_000,
  [nodeV1.Action.START]: 600_000,
  [nodeV1.Action.REMOVE]: 120_000,
};
const SPEAKING: ReadonlySet<nodeV1.Action> = new Set([nodeV1.Action.START, nodeV1.Action.CONNECT]);
const OTHER_WAIT_MS = 30_000;
const FRESH_WAIT_MS = 2_000;

/** Orders to agents about containers; what they answer is seen at once. */
export class Orders {
  readonly #sessions: NodeSessions;
  readonly #observations: Observations;
  readonly #placed: (containerId: string) => Promise<void> | undefined;

  /** @param placed until the other hosts of a container's networks know its place; undefined when they do */
  constructor(
    sessions: NodeSessions,
    observations: Observations,
    placed: (containerId: string) => Promise<void> | undefined = () => undefined,
  ) {
    this.#sessions = sessions;
    this.#observations = observations;
    this.#placed = placed;
  }

  /** A container speaks from its start on, and from when it is connected: not before the answers find the way to it. */
  async send(
    action: nodeV1.Action,
    record: containerV1.ContainerRecord,
    options: OrderOptions = {},
  ): Promise<OrderOutcome> {
    const waitMs = 'waitMs' in options ? options.waitMs : (DEFAULT_WAIT_MS[action] ?? OTHER_WAIT_MS);
    const placing = SPEAKING.has(action) ? this.#placed(record.id) : undefined;
    if (placing) await placing;
    const result = await this.#sessions.order(
      record.nodeId,
      {
        action,
        record,
        signal: options.signalName ?? '',
        timeoutSeconds: options.timeoutSeconds,
        force: options.force ?? false,
        volumes: options.volumes ?? false,
      },
      { timeoutMs: waitMs, ...(options.signal && { signal: options.signal }) },
    );
    if (result.status) this.#observations.report(record, result.status);
    return { status: result.status, unchanged: result.unchanged };
  }

  /**
   * The status as the agent knows it now. What it reported may still be on its way when a client that talked to the agent itself
   * (wait, attach) goes on: ask before refusing something because of a status. Falls back to the last known one.
   */
  async freshStatus(record: containerV1.ContainerRecord): Promise<containerV1.ContainerStatus | undefined> {
    await this.attempt(nodeV1.Action.ENSURE, record, { waitMs: FRESH_WAIT_MS });
    return this.#observations.status(record.id);
  }

  /** An order about a volume; without `waitMs` it may take as long as the host's session lasts. */
  async volume(
    action: nodeV1.Action,
    nodeId: string,
    volume: string,
    details: Partial<nodeV1.VolumeOrder> & Pick<nodeV1.VolumeOrder, 'operation'>,
    options: {
      readonly signal?: AbortSignal;
      readonly waitMs?: number;
      readonly onProgress?: (bytes: bigint) => void;
    } = {},
  ): Promise<void> {
    const volumeOrder = nodeV1.VolumeOrder.fromPartial(details);
    const { signal, waitMs, onProgress } = options;
    await this.#sessions.order(
      nodeId,
      { action, record: undefined, volume, volumeOrder },
      { timeoutMs: waitMs, ...(signal && { signal }), ...(onProgress && { onProgress }) },
    );
  }

  /** Has a host delete a volume. One that it does not have is fine. */
  async removeVolume(nodeId: string, volume: string): Promise<void> {
    const order = { action: nodeV1.Action.REMOVE_VOLUME, record: undefined, volume };
    await this.#sessions.order(nodeId, order, { timeoutMs: DEFAULT_WAIT_MS[nodeV1.Action.REMOVE] });
  }

  /** As `send`, for orders nobody waits for: the error is an answer. */
  async attempt(
    action: nodeV1.Action,
    record: containerV1.ContainerRecord,
    options: OrderOptions = {},
  ): Promise<AtollError | undefined> {
    try {
      await this.send(action, record, options);
      return undefined;
    } catch (error) {
      return asAtollError(error);
    }
  }
}
