import { invalidArgument } from '@atoll/errors';
import { formatIpv4, parseIpv4 } from './ipv4.ts';

/** A block of addresses of one bridge; its first address is the bridge's own. */
export class Subnet {
  readonly cidr: string;
  readonly prefixLength: number;
  readonly #network: number;

  private constructor(network: number, prefixLength: number) {
    this.#network = network;
    this.prefixLength = prefixLength;
    this.cidr = `${formatIpv4(network)}/${prefixLength}`;
  }

  /** Throws invalid-argument for what is no block with room for containers (at most /29). */
  static parse(cidr: string): Subnet {
    const [address, length, ...rest] = cidr.split('/');
    const prefixLength = Number(length);
    if (rest.length > 0 || !Number.isInteger(prefixLength) || prefixLength < 8 || prefixLength > 29) {
      throw invalidArgument(`"${cidr}" is not a block of container addresses, such as 10.88.1.0/24`);
    }
    const network = parseIpv4(address ?? '');
    return new Subnet(network - (network % 2 ** (32 - prefixLength)), prefixLength);
  }

  get gateway(): string {
    return formatIpv4(this.#network + 1);
  }

  get size(): number {
    return 2 ** (32 - this.prefixLength);
  }

  /** Address number `index`; 0 is the network, 1 the gateway, the last the broadcast. */
  at(index: number): string {
    return formatIpv4(this.#network + index);
  }

  /** Index of an address, undefined when it is not of this block. */
  indexOf(address: string): number | undefined {
    const index = parseIpv4(address) - this.#network;
    return index >= 0 && index < this.size ? index : undefined;
  }
}
