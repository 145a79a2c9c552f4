import type { HeldLease } from '@atoll/bus';
import { unavailable } from '@atoll/errors';
import type { Term } from './term.ts';

/** The term this replica leads, if it does. */
export class Leadership {
  readonly #leader: () => HeldLease | undefined;
  readonly #selfId: string;
  #term: Term | undefined;

  constructor(selfId: string, leader: () => HeldLease | undefined) {
    this.#selfId = selfId;
    this.#leader = leader;
  }

  get leads(): boolean {
    return this.#term !== undefined;
  }

  set(term: Term | undefined): void {
    this.#term = term;
  }

  /** Errors: unavailable, with the leader's address as `leader` in the details when it is another replica and known. */
  require(): Term {
    if (this.#term) return this.#term;
    const leader = this.#leader();
    if (leader && leader.leaderId !== this.#selfId) {
      throw unavailable(`this scheduler does not lead; ${leader.leaderId} at ${leader.address} does`, {
        details: { leader: leader.address },
      });
    }
    throw unavailable('no scheduler leads yet; try again');
  }
}
