import { conflict } from '@atoll/errors';
import { nodeV1 } from '@atoll/proto';

const A = nodeV1.Action;

/** The volumes of a simulated host: what is in each is told by where it began. */
export class SimulatedVolumes {
  readonly #nodeId: string;
  readonly #contents = new Map<string, string>();

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  get(name: string): string | undefined {
    return this.#contents.get(name);
  }

  names(): string[] {
    return [...this.#contents.keys()];
  }

  /** A container's preparation makes what is missing. */
  ensure(name: string): void {
    if (!this.#contents.has(name)) this.#contents.set(name, `made on ${this.#nodeId}`);
  }

  /** False for orders about containers. */
  obey({ action, volume, volumeOrder }: nodeV1.Order, note: (line: string) => void): boolean {
    const { newName = '', peerNodeId = '', first = false, second = false } = volumeOrder ?? {};
    if (action === A.REMOVE_VOLUME) {
      note(`REMOVE_VOLUME ${volume}`);
      this.#contents.delete(volume);
    } else if (action === A.PULL_VOLUME) {
      note(`PULL_VOLUME ${volume} ${first ? 'first' : second ? 'second' : 'only'}`);
      if (!first) this.#place(volume, `made on ${peerNodeId}`);
    } else if (action === A.CLONE_VOLUME) {
      note(`CLONE_VOLUME ${volume} ${newName}`);
      this.#place(newName, this.#contents.get(volume) ?? 'nothing');
    } else {
      return action === A.GRANT_VOLUME || action === A.END_VOLUME;
    }
    return true;
  }

  #place(name: string, content: string): void {
    if (this.#contents.has(name)) throw conflict(`volume ${name} has files already`);
    this.#contents.set(name, content);
  }
}
