import { createHash } from 'node:crypto';
import { invalidArgument, resourceExhausted } from '@atoll/errors';
import { formatBlock, type IpBlock, overlaps, parseCidr } from './ip-address.ts';

const MOST_SPECIFIC = 29;
const ULA_SUBNETS = 2n ** 16n;
const ULA_SUBNET_SIZE = 2n ** 64n;

/** Where the subnets of networks come from whose user named none. */
export class AddressPools {
  readonly #pool: IpBlock;
  readonly #prefix: number;
  readonly #ula: bigint;
  #next: bigint;
  #nextUla = 0n;

  /**
   * IPv6 blocks are of a /48 of unique local addresses (RFC 4193) that is made from the cluster's id.
   * @param cidr the IPv4 pool
   * @param prefix bits of one network's block
   * @throws invalid-argument
   */
  constructor(cidr: string, prefix: number, clusterId: string) {
    const parsed = parseCidr(cidr);
    if (parsed?.block.version !== 4 || parsed.address.value !== parsed.block.first) {
      throw invalidArgument(`ATOLL_NETWORK_POOL: ${cidr} is no IPv4 network without host bits`);
    }
    if (!Number.isInteger(prefix) || prefix < parsed.block.prefix || prefix > MOST_SPECIFIC) {
      throw invalidArgument(
        `ATOLL_NETWORK_POOL_SIZE: must be between ${parsed.block.prefix} (all of ${cidr}) and ${MOST_SPECIFIC} (got ${prefix})`,
      );
    }
    this.#pool = parsed.block;
    this.#prefix = prefix;
    this.#next = parsed.block.first;
    const globalId = createHash('sha256').update(`atoll networks ${clusterId}`).digest().readUIntBE(0, 5);
    this.#ula = (0xfdn << 120n) + (BigInt(globalId) << 80n);
  }

  /** A block that overlaps with none of these. @throws resource-exhausted when there is none */
  block4(taken: readonly IpBlock[]): string {
    const size = 2n ** BigInt(32 - this.#prefix);
    const count = (this.#pool.last - this.#pool.first + 1n) / size;
    for (let tried = 0n; tried < count; tried++) {
      const first = this.#next;
      this.#next = first + size > this.#pool.last ? this.#pool.first : first + size;
      const block: IpBlock = { version: 4, first, last: first + size - 1n, prefix: this.#prefix };
      if (!taken.some((other) => overlaps(other, block))) return formatBlock(block);
    }
    throw resourceExhausted(
      `all ${count} blocks of the default address pool ${formatBlock(this.#pool)} are in use: name a subnet, or give the scheduler a larger ATOLL_NETWORK_POOL`,
    );
  }

  /** The same for IPv6: a /64. */
  block6(taken: readonly IpBlock[]): string {
    for (let tried = 0n; tried < ULA_SUBNETS; tried++) {
      const first = this.#ula + this.#nextUla * ULA_SUBNET_SIZE;
      this.#nextUla = (this.#nextUla + 1n) % ULA_SUBNETS;
      const block: IpBlock = { version: 6, first, last: first + ULA_SUBNET_SIZE - 1n, prefix: 64 };
      if (!taken.some((other) => overlaps(other, block))) return formatBlock(block);
    }
    throw resourceExhausted('all IPv6 blocks of the default address pool are in use: name a subnet');
  }
}
