import type { Digest } from '@atoll/reference';

/** A hold on blobs: while it lasts no collection of this process deletes them. */
export interface Hold extends Disposable {
  readonly digests: readonly Digest[];
}

/** What a running collection must leave alone. */
export interface Run extends Disposable {
  isHeld(digest: Digest): boolean;
}

/**
 * Keeps the collector and those who name blobs apart. Whoever is about to name blobs holds them first, then checks that they
 * are there, then writes the name, then lets go. A collection sees every hold that was there when it began or came while it
 * ran; what was let go before it began is named and found by its mark.
 */
export class Liveness {
  readonly #holds = new Map<Digest, number>();
  readonly #runs = new Set<Set<Digest>>();

  hold(digests: readonly Digest[]): Hold {
    for (const digest of digests) {
      this.#holds.set(digest, (this.#holds.get(digest) ?? 0) + 1);
      for (const run of this.#runs) run.add(digest);
    }
    let held = true;
    return {
      digests,
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        for (const digest of digests) this.#release(digest);
      },
    };
  }

  begin(): Run {
    const seen = new Set(this.#holds.keys());
    this.#runs.add(seen);
    return { isHeld: (digest) => seen.has(digest), [Symbol.dispose]: () => void this.#runs.delete(seen) };
  }

  #release(digest: Digest): void {
    const count = (this.#holds.get(digest) ?? 1) - 1;
    if (count === 0) this.#holds.delete(digest);
    else this.#holds.set(digest, count);
  }
}
