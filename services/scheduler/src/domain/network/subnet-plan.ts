import { invalidArgument } from '@atoll/errors';
import { networkV1 } from '@atoll/proto';
import type { AddressPools } from './address-pools.ts';
import {
  contains,
  formatBlock,
  formatIp,
  type IpAddress,
  type IpBlock,
  overlaps,
  parseCidr,
  parseIp,
} from './ip-address.ts';

/** Addresses that are somebody's already. */
export interface TakenBlock {
  readonly block: IpBlock;
  /** `network web`, `the address of host h1`. */
  readonly whose: string;
}

const MAX_SUBNETS = 32;
const MAX_AUX = 256;
/** A smaller block has no room for a gateway and two containers. */
const LARGEST_PREFIX = { 4: 29, 6: 125 } as const;
/** Never a container's: this host, loopback, multicast, reserved; unspecified, loopback, multicast. */
const UNUSABLE = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'ff00::/8'].flatMap(
  (text) => parseCidr(text)?.block ?? [],
);

/**
 * The subnets of a new network: those asked for, checked and in canonical form, and blocks of the default pools for families that
 * are switched on and have none. Each has a gateway but those of internal networks, which have one only when asked. That of a macvlan network
 * is a machine outside; the first address is taken for it, as in docker to API 1.51, so that no container is given what most likely is a router's.
 * @param avoid in the way of what is chosen, not of what is asked for
 * @throws invalid-argument naming the field of the Docker API, resource-exhausted when a default pool is used up
 */
export function planSubnets(
  network: Pick<networkV1.NetworkRecord, 'driver' | 'ipv4' | 'ipv6' | 'internal' | 'subnets'>,
  taken: readonly TakenBlock[],
  pools: AddressPools,
  avoid: readonly TakenBlock[] = [],
): networkV1.Subnet[] {
  if (!network.ipv4 && !network.ipv6) throw invalidArgument('EnableIPv4: IPv4 or IPv6 must be enabled');
  if (network.subnets.length > MAX_SUBNETS) {
    throw invalidArgument(`IPAM.Config: at most ${MAX_SUBNETS} subnets (got ${network.subnets.length})`);
  }
  const blocks: TakenBlock[] = [...taken];
  const planned = network.subnets.map((subnet, at) => {
    const field = `IPAM.Config[${at}]`;
    const block = blockOf(`${field}.Subnet`, subnet.cidr);
    if (!(block.version === 4 ? network.ipv4 : network.ipv6)) {
      throw invalidArgument(
        `${field}.Subnet: ${subnet.cidr} is IPv${block.version}, which EnableIPv${block.version} does not switch on`,
      );
    }
    assertFree(`${field}.Subnet`, block, blocks);
    blocks.push({ block, whose: `IPAM.Config[${at}]` });
    return withDetails(field, subnet, block);
  });
  const others = (): IpBlock[] => [...blocks, ...avoid].map(({ block }) => block);
  const has = (version: 4 | 6): boolean => planned.some(({ cidr }) => parseCidr(cidr)?.block.version === version);
  if (network.ipv4 && !has(4)) planned.push(networkV1.Subnet.fromPartial({ cidr: pools.block4(others()) }));
  if (network.ipv6 && !has(6)) planned.push(networkV1.Subnet.fromPartial({ cidr: pools.block6(others()) }));
  return network.internal ? planned : planned.map(withGateway);
}

function blockOf(field: string, text: string): IpBlock {
  if (text === '') throw invalidArgument(`${field}: is missing; a gateway, range or auxiliary address needs one`);
  const parsed = parseCidr(text);
  if (!parsed) throw invalidArgument(`${field}: invalid subnet ${text}: invalid CIDR block notation`);
  if (parsed.address.value !== parsed.block.first) {
    throw invalidArgument(`${field}: invalid subnet ${text}: it should be ${formatBlock(parsed.block)}`);
  }
  return parsed.block;
}

function assertFree(field: string, block: IpBlock, taken: readonly TakenBlock[]): void {
  const most = LARGEST_PREFIX[block.version];
  if (block.prefix > most) {
    throw invalidArgument(`${field}: ${formatBlock(block)} is too small, at most /${most} is wanted`);
  }
  const unusable = UNUSABLE.find((other) => overlaps(other, block));
  if (unusable)
    throw invalidArgument(
      `${field}: ${formatBlock(block)} has addresses of ${formatBlock(unusable)}, which no container can have`,
    );
  const holder = taken.find((other) => overlaps(other.block, block));
  if (!holder) return;
  throw invalidArgument(
    `${field}: Pool overlaps with other one on this address space: ${formatBlock(block)} and ${formatBlock(holder.block)} of ${holder.whose}`,
  );
}

/** Range, gateway and auxiliary addresses, each inside. */
function withDetails(field: string, given: networkV1.Subnet, block: IpBlock): networkV1.Subnet {
  const range = given.ipRange === '' ? undefined : parseCidr(given.ipRange);
  if (given.ipRange !== '') {
    if (!range)
      throw invalidArgument(`${field}.IPRange: invalid ip-range ${given.ipRange}: invalid CIDR block notation`);
    if (range.address.value !== range.block.first) {
      throw invalidArgument(
        `${field}.IPRange: invalid ip-range ${given.ipRange}: it should be ${formatBlock(range.block)}`,
      );
    }
    if (!contains(block, range.address) || range.block.prefix < block.prefix) {
      throw invalidArgument(`${field}.IPRange: ${given.ipRange} is not inside the subnet ${formatBlock(block)}`);
    }
  }
  const names = Object.entries(given.auxAddresses);
  if (names.length > MAX_AUX)
    throw invalidArgument(`${field}.AuxiliaryAddresses: at most ${MAX_AUX} (got ${names.length})`);
  const aux = names.map(
    ([name, text]) => [name, inside(`${field}.AuxiliaryAddresses["${name}"]`, text, block)] as const,
  );
  const gateway = given.gateway === '' ? undefined : inside(`${field}.Gateway`, given.gateway, block);
  const twice = aux.find(([, address]) => address.value === gateway?.value);
  if (twice) throw invalidArgument(`${field}.Gateway: ${given.gateway} is the auxiliary address ${twice[0]}, too`);
  return {
    cidr: formatBlock(block),
    ipRange: range ? formatBlock(range.block) : '',
    gateway: gateway ? formatIp(gateway) : '',
    auxAddresses: Object.fromEntries(aux.map(([name, address]) => [name, formatIp(address)])),
  };
}

function inside(field: string, text: string, block: IpBlock): IpAddress {
  const address = parseIp(text);
  if (!address) throw invalidArgument(`${field}: ${JSON.stringify(text)} is no IP address`);
  if (!contains(block, address)) throw invalidArgument(`${field}: ${text} is not in the subnet ${formatBlock(block)}`);
  if (address.value === block.first || (block.version === 4 && address.value === block.last)) {
    throw invalidArgument(
      `${field}: ${text} is the first or last address of ${formatBlock(block)}, which no machine has`,
    );
  }
  return address;
}

/** The first address that is nobody's. */
function withGateway(subnet: networkV1.Subnet): networkV1.Subnet {
  const block = parseCidr(subnet.cidr)?.block;
  if (subnet.gateway !== '' || !block) return subnet;
  const aux = new Set(Object.values(subnet.auxAddresses));
  for (let value = block.first + 1n; value < block.last; value++) {
    const gateway = formatIp({ version: block.version, value });
    if (!aux.has(gateway)) return { ...subnet, gateway };
  }
  throw invalidArgument(`IPAM.Config: the auxiliary addresses leave no gateway in ${subnet.cidr}`);
}
