import { containerV1 } from '@atoll/proto';

const S = containerV1.ContainerState;
/** Docker's clients do not see a state that lasts shorter. */
const WINDOW_MS = 3;

/**
 * Statuses on their way to the leader: of the changes of a moment only the newest of a container is sent, and none that an order's
 * result carries anyway. A scheduler learns of starts and ends between two statuses by their times.
 */
export class StatusReports {
  readonly #send: (status: containerV1.ContainerStatus) => void;
  readonly #waiting = new Map<string, containerV1.ContainerStatus>();
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (status: containerV1.ContainerStatus) => void) {
    this.#send = send;
  }

  add(status: containerV1.ContainerStatus): void {
    // An end goes at once: auto-removal and restarts elsewhere wait for it.
    if (status.state === S.EXITED) {
      this.#waiting.delete(status.id);
      this.#send(status);
      return;
    }
    this.#waiting.set(status.id, status);
    this.#timer ??= setTimeout(() => this.flush(), WINDOW_MS);
  }

  /** A result is about to tell this status. */
  told(status: containerV1.ContainerStatus | undefined): void {
    const waiting = status && this.#waiting.get(status.id);
    if (waiting && waiting.seq <= status.seq) this.#waiting.delete(status.id);
  }

  /** Sends what waits; in a new session the hello says it all, so there `drop` it. */
  flush(): void {
    const statuses = [...this.#waiting.values()];
    this.drop();
    for (const status of statuses) this.#send(status);
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.clear();
  }
}
