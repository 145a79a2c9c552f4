import { containerV1 } from '@atoll/proto';
import type { ContainerFiles } from './container-files.ts';
import { checkTransition } from './container-states.ts';

/** What may change in a status; the book keeps identity and sequence itself. */
export type StatusChange = Partial<Omit<containerV1.ContainerStatus, 'id' | 'nodeId' | 'seq' | 'generation'>>;

export type StatusListener = (status: containerV1.ContainerStatus) => void;

/** The observed status of one container: every change is checked, numbered, written and told, in this order. */
export class StatusBook {
  readonly #files: ContainerFiles;
  readonly #listeners = new Set<StatusListener>();
  #status: containerV1.ContainerStatus;
  #generation: bigint;

  constructor(files: ContainerFiles, status: containerV1.ContainerStatus) {
    this.#files = files;
    this.#status = status;
    this.#generation = status.generation;
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
  async change(change: StatusChange): Promise<void> {
    const { id, state, seq } = this.#status;
    checkTransition(id, state, change.state ?? state);
    this.#status = { ...this.#status, ...change, generation: this.#generation, seq: seq + 1n };
    const written = this.#status;
    await this.#files.saveStatus(written);
    for (const listener of [...this.#listeners]) listener(written);
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
