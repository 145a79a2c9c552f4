import { resourceExhausted } from '@atoll/errors';
import type { Subnet } from './subnet.ts';

/**
 * Addresses of one bridge. Who has which is written in the containers' own status files; the pool is filled from them at start.
 * An address that was freed is used again as late as possible, for peers may remember it.
 */
export class AddressPool {
  readonly subnet: Subnet;
  readonly #owners = new Map<number, string>();
  #next = 2;

  constructor(subnet: Subnet) {
    this.subnet = subnet;
  }

  /** Throws resource-exhausted when the block is full. */
  take(owner: string): string {
    const last = this.subnet.size - 2;
    for (let tried = 2; tried <= last; tried++) {
      const index = this.#next;
      this.#next = index >= last ? 2 : index + 1;
      if (this.#owners.has(index)) continue;
      this.#owners.set(index, owner);
      return this.subnet.at(index);
    }
    throw resourceExhausted(`all ${last - 1} container addresses of ${this.subnet.cidr} are in use on this host`);
  }

  /** Notes an address in use since before; false when it is another's or not of this block. */
  claim(address: string, owner: string): boolean {
    const index = this.subnet.indexOf(address);
    if (index === undefined || index < 2 || index > this.subnet.size - 2) return false;
    const holder = this.#owners.get(index);
    if (holder !== undefined) return holder === owner;
    this.#owners.set(index, owner);
    return true;
  }

  /** Does nothing when the address is not the owner's. */
  release(address: string, owner: string): void {
    const index = this.subnet.indexOf(address);
    if (index !== undefined && this.#owners.get(index) === owner) this.#owners.delete(index);
  }
}
