import { createHash } from 'node:crypto';
import { resourceExhausted } from '@atoll/errors';

const CATEGORIES = 1024;
const PAIRS = (CATEGORIES * (CATEGORIES - 1)) / 2;

/** Levels with two categories, `s0:c1,c2`: each container of a host has a pair of its own, so that none may touch what is another's. */
export class CategoryPairs {
  readonly #labelled: () => Iterable<{ readonly id: string; readonly level: string }>;
  /** Of containers whose status does not tell it yet. */
  readonly #held = new Map<string, string>();

  /** `labelled`: the containers that have a level, as their statuses say. */
  constructor(labelled: () => Iterable<{ readonly id: string; readonly level: string }>) {
    this.#labelled = labelled;
  }

  /** The same for one id until it is released. Agents that share a machine begin at different ones: where the id leads. */
  take(id: string): string {
    const held = this.#held.get(id);
    if (held !== undefined) return held;
    const taken = new Set(this.#held.values());
    for (const other of this.#labelled()) {
      taken.add(other.level);
      this.#held.delete(other.id);
    }
    const first = createHash('sha256').update(id).digest().readUInt32LE(0) % PAIRS;
    for (let step = 0; step < PAIRS; step++) {
      const level = levelOfPair((first + step) % PAIRS);
      if (taken.has(level)) continue;
      this.#held.set(id, level);
      return level;
    }
    throw resourceExhausted(`all ${PAIRS} pairs of SELinux categories of this host are in use: remove containers`);
  }

  release(id: string): void {
    this.#held.delete(id);
  }
}

/** `number` counts pairs x < y by y, then by x. */
function levelOfPair(number: number): string {
  const y = Math.floor((1 + Math.sqrt(1 + 8 * number)) / 2);
  return `s0:c${number - (y * (y - 1)) / 2},c${y}`;
}
