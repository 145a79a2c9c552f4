import { containerV1 } from '@atoll/proto';
import { WriteBehind } from '../files/write-behind.ts';
import type { ContainerFiles } from './container-files.ts';
import { checkTransition } from './container-states.ts';

/** What may change in a status; the book keeps identity and sequence itself. */
export type StatusChange = Partial<Omit<containerV1.ContainerStatus, 'id' | 'nodeId' | 'seq' | 'generation'>>;

export type StatusListener = (status: containerV1.ContainerStatus) => void;

/**
 * The sequence a container goes on with after the agent's restart is so much higher than what is on disk: what was told last
 * may not have been written.
 */
export const SEQ_GAP = 1_048_576n;

/** A short-lived container is gone before its status is worth a write. */
const WRITE_BEHIND_MS = 200;

/**
 * The observed status of one container: every change is checked, numbered and told at once, and written a moment later. Only
 * the newest is written; what is on disk after a crash may be older than what was told, and the shim knows better then.
 */
export class StatusBook {
  readonly #writes: WriteBehind;
  readonly #listeners = new Set<StatusListener>();
  #status: containerV1.ContainerStatus;
  #generation: bigint;

  constructor(files: ContainerFiles, status: containerV1.ContainerStatus) {
    // What cannot be written is told nevertheless, and is known again from the shim.
    this.#writes = new WriteBehind(() => files.saveStatus(this.#status).catch(() => undefined), WRITE_BEHIND_MS);
    this.#status = status;
    this.#generation = status.generation;
  }

  /** Goes on from what an earlier run of the agent has written. */
  static resume(files: ContainerFiles, status: containerV1.ContainerStatus): StatusBook {
    return new StatusBook(files, { ...status, seq: status.seq + SEQ_GAP });
  }

  /** `seq` is the last number the container is known to have had. */
  static fresh(files: ContainerFiles, id: string, nodeId: string, seq: bigint): StatusBook {
    return new StatusBook(files, containerV1.ContainerStatus.fromPartial({ id, nodeId, seq }));
  }

  get status(): containerV1.ContainerStatus {
    return this.#status;
  }

  get state(): containerV1.ContainerState {
    return this.#status.state;
  }

  /** The generation of the record that changes follow from now on; part of the next change. */
  follow(generation: bigint): void {
    this.#generation = generation;
  }

  /** True when the last change did not follow the present record. */
  get behind(): boolean {
    return this.#status.generation !== this.#generation;
  }

  /** Throws conflict when the state machine has no such step. */
  change(change: StatusChange): void {
    const { id, state, seq } = this.#status;
    checkTransition(id, state, change.state ?? state);
    this.#status = { ...this.#status, ...change, generation: this.#generation, seq: seq + 1n };
    this.#writes.mark();
    for (const listener of [...this.#listeners]) listener(this.#status);
  }

  /** Nothing is written any more once this resolves: the files may go. */
  close(): Promise<void> {
    return this.#writes.close();
  }

  /** Resolves when the newest status is on disk. */
  flush(): Promise<void> {
    return this.#writes.flush();
  }

  /** The last word of a container whose files are gone. */
  conclude(): void {
    this.#status = { ...this.#status, state: containerV1.ContainerState.REMOVED, pid: 0, seq: this.#status.seq + 1n };
    for (const listener of [...this.#listeners]) listener(this.#status);
  }

  /** Calls back at each change until the function it gives is called. */
  listen(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
