import { invalidArgument, resourceExhausted } from '@atoll/errors';

const NODE_PREFIX = 24;

/** The cluster's container addresses, cut into one /24 for each node: node 1 of 10.213.0.0/16 has 10.213.1.0/24. */
export class NodeSubnets {
  readonly #base: number;
  readonly #capacity: number;
  readonly cidr: string;

  /** Errors: invalid-argument when the text is no IPv4 network with room for at least one node. */
  constructor(cidr: string) {
    const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
    const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = (match ?? []).slice(1).map(Number);
    if ([a, b, c, d].some((octet) => octet > 255) || prefix < 8 || prefix >= NODE_PREFIX) {
      throw invalidArgument(`container addresses ${cidr}: must be an IPv4 network between /8 and /${NODE_PREFIX - 1}`);
    }
    this.#base = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
    this.#capacity = 2 ** (NODE_PREFIX - prefix);
    this.cidr = cidr;
    if (this.#base % 2 ** (32 - prefix) !== 0)
      throw invalidArgument(`container addresses ${cidr}: bits after /${prefix} are set`);
  }

  /** The block of a node, index from 1. Errors: resource-exhausted when the network has no such block. */
  of(index: number): string {
    if (index < 1 || index >= this.#capacity) {
      throw resourceExhausted(`${this.cidr} has container addresses for ${this.#capacity - 1} nodes, all are in use`);
    }
    const address = this.#base + index * 2 ** (32 - NODE_PREFIX);
    const octets = [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256);
    return `${octets.join('.')}/${NODE_PREFIX}`;
  }
}
