import { conflict, unavailable } from '@atoll/errors';
import { nodeV1 } from '@atoll/proto';

const A = nodeV1.Action;

/** The volumes of a simulated host: what is in each is told by where it began. */
export class SimulatedVolumes {
  readonly #nodeId: string;
  readonly #contents = new Map<string, string>();
  /** What it has of volumes whose move failed. */
  readonly kept = new Set<string>();
  /** So many copies from other hosts are cut. */
  cuts = 0;

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
    const { newName = '', peerNodeId = '', first = false } = volumeOrder ?? {};
    if (action === A.REMOVE_VOLUME) {
      note(`REMOVE_VOLUME ${volume}`);
      this.#contents.delete(volume);
    } else if (action === A.PULL_VOLUME) {
      note(`PULL_VOLUME ${volume} ${first ? 'first' : 'last'}`);
      this.kept.add(volume);
      if (this.cuts > 0) {
        this.cuts--;
        throw unavailable('the link was cut');
      }
      if (!first) this.#place(volume, `made on ${peerNodeId}`);
    } else if (action === A.FORGET_VOLUME) {
      note(`FORGET_VOLUME ${volume}`);
      this.kept.delete(volume);
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
    this.kept.delete(name);
  }
}
