import { resourceExhausted } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import type { IpVersion } from './ip-address.ts';
import type { NetworkTable } from './network-table.ts';

/** Of a service in one network, for each family the network has; else empty. */
export interface VirtualAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

const NONE: VirtualAddresses = { ipv4: '', ipv6: '' };
/** Links of these are seen by others than our hosts, who would ask whose the address is. */
const WITHOUT: ReadonlySet<string> = new Set(['macvlan', 'ipvlan']);

/** Which addresses services have in one network: as long as any endpoint says so. */
export class ServiceAddresses {
  readonly #services = new Map<string, { readonly addresses: VirtualAddresses; holders: number }>();

  get(service: string): VirtualAddresses | undefined {
    return this.#services.get(service)?.addresses;
  }

  count({ serviceName, virtualIpv4, virtualIpv6 }: networkV1.Endpoint, change: 1 | -1): void {
    if (serviceName === '') return;
    const known = this.#services.get(serviceName) ?? {
      addresses: { ipv4: virtualIpv4, ipv6: virtualIpv6 },
      holders: 0,
    };
    known.holders += change;
    if (known.holders > 0) this.#services.set(serviceName, known);
    else this.#services.delete(serviceName);
  }
}

/**
 * The addresses of the service whose container is about to have a place in this network: those the service has there, or new ones. The caller
 * holds them with the endpoint before anything else happens.
 * @param service empty: none
 * @param own addresses the container is about to get
 * @throws resource-exhausted when there is no address left
 */
export function virtualAddresses(
  table: NetworkTable,
  network: networkV1.NetworkRecord,
  service: string,
  own: readonly string[],
): VirtualAddresses {
  const space = table.space(network.id);
  if (service === '' || !space || WITHOUT.has(network.driver)) return NONE;
  const known = table.virtual(network.id, service);
  if (known) return known;
  // Nobody holds its own yet.
  const others = new Set([...table.hostAddresses, ...own]);
  const newAddress = (version: IpVersion): string => {
    if (!space.has(version)) return '';
    const offer = space.offer(version, others);
    if (!offer) throw noneLeft(network, version);
    return offer.address;
  };
  return { ipv4: newAddress(4), ipv6: newAddress(6) };
}

/** Docker's words. */
export function noneLeft(network: networkV1.NetworkRecord, version: IpVersion): Error {
  return resourceExhausted(
    `no available IPv${version} addresses on this network's address pools: ${network.name} (${network.id})`,
  );
}
