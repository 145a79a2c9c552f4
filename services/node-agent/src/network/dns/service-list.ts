import type { containerV1 } from '@atoll/proto';
import { ipBytes } from '../../runtime/ip-bytes.ts';
import type { ServiceAddress } from '../user/service-index.ts';
import { type FindNetwork, scopeOf } from './name-lookup.ts';

/** As `native/src/service-list.h` has them. */
const MAX_ADDRESSES = 64;
const MAX_BACKENDS = 64;
const MAX_BACKENDS_IN_ALL = 2_048;

/** What one container's shim translates. */
export interface ServiceList {
  readonly addresses: readonly ServiceAddress[];
  /** How many addresses and backends are more than a shim takes. */
  readonly leftOut: number;
}

/**
 * The services a container finds in its networks, by the networks' priority, then by name. What is too much is left out from the end.
 * Undefined while this host was not told of one of the networks: then nobody knows.
 */
export function servicesOf(record: containerV1.ContainerRecord, find: FindNetwork): ServiceList | undefined {
  const { places } = scopeOf(record, find);
  if (places.length < record.endpoints.length) return undefined;
  const addresses: ServiceAddress[] = [];
  let leftOut = 0;
  let inAll = 0;
  for (const one of places.flatMap(({ network }) => network.membership.services.addresses())) {
    const backends = one.backends.slice(0, MAX_BACKENDS);
    leftOut += one.backends.length - backends.length;
    if (addresses.length >= MAX_ADDRESSES || inAll + backends.length > MAX_BACKENDS_IN_ALL) {
      leftOut++;
      continue;
    }
    inAll += backends.length;
    addresses.push({ ...one, backends });
  }
  return { addresses, leftOut };
}

/** u16 addresses; each u8 4 or 6, the address, u8 backends, their addresses. */
export function encodeServices({ addresses }: ServiceList): Buffer {
  const count = Buffer.alloc(2);
  count.writeUInt16LE(addresses.length);
  const parts = addresses.flatMap(({ address, backends }) => [
    Buffer.from([address.includes(':') ? 6 : 4]),
    ipBytes(address),
    Buffer.from([backends.length]),
    ...backends.map(ipBytes),
  ]);
  return Buffer.concat([count, ...parts]);
}
