import { asAtollError } from '@atoll/errors';

/** Which scheduler to try next: the one another named as leader, else each of the list in turn. */
export class LeaderFinder {
  readonly #addresses: readonly string[];
  #index = 0;
  #hint: string | undefined;

  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  next(): string {
    const hint = this.#hint;
    this.#hint = undefined;
    if (hint !== undefined) return hint;
    return this.#addresses[this.#index % this.#addresses.length] as string;
  }

  /** A session with this address worked: begin with it next time. */
  worked(address: string): void {
    const index = this.#addresses.indexOf(address);
    if (index >= 0) this.#index = index;
    else this.#hint = address;
  }

  /** An attempt failed. True when the answer named the leader, so that the next attempt need not wait. */
  failed(address: string, error: unknown): boolean {
    const leader = asAtollError(error).details['leader'];
    if (leader !== undefined && leader !== '' && leader !== address) {
      this.#hint = leader;
      return true;
    }
    this.#index++;
    return false;
  }
}
