import { defaultBridgeOf } from '@atoll/docker-api';
import type { containerV1, networkV1 } from '@atoll/proto';
import { ipText } from '../../runtime/ip-bytes.ts';
import type { HostedNetwork } from '../user/hosted-network.ts';

/** What a container may know of the names around it. */
export interface NameScope {
  /** Its networks in the order names are looked up. */
  readonly places: readonly { readonly endpoint: networkV1.Endpoint; readonly network: HostedNetwork }[];
  /** It has a way out of the host: other names may be asked for elsewhere. */
  readonly external: boolean;
}

/** `undefined`: not a name of these networks. An empty list: it is one, without such data. */
export type Found = readonly string[] | undefined;

/** The networks of a container that this host was told of. On the default bridge it has a way out without them. */
export function scopeOf(
  record: containerV1.ContainerRecord,
  find: (id: string) => HostedNetwork | undefined,
): NameScope {
  const places = record.endpoints.flatMap((endpoint) => {
    const network = find(endpoint.networkId);
    return network ? [{ endpoint, network }] : [];
  });
  places.sort((a, b) => (b.endpoint.asked?.gwPriority ?? 0) - (a.endpoint.asked?.gwPriority ?? 0));
  return {
    places,
    external: defaultBridgeOf(record) !== undefined || places.some(({ network }) => !network.record.internal),
  };
}

/**
 * Addresses of one family of a name: a container's name, short id or alias in one of the networks, `<name>.<network>`, or a link's
 * alias. Only running containers count; the name of one that does not run is a name without an owner, not one to ask others for.
 */
export function addressesOfName(scope: NameScope, name: string, version: 4 | 6): Found | 'none' {
  let known = false;
  for (const { endpoint, network } of scope.places) {
    const members = membersNamed(endpoint, network, name);
    const running = members.filter((member) => member.running);
    known ||= members.length > 0;
    if (running.length === 0) continue;
    return running
      .map((one) => (version === 4 ? one.ipv4Address : one.ipv6Address))
      .filter((address) => address !== '');
  }
  return known ? 'none' : undefined;
}

function membersNamed(endpoint: networkV1.Endpoint, network: HostedNetwork, name: string): readonly networkV1.Member[] {
  const { membership, record } = network;
  const suffix = `.${record.name.toLowerCase()}`;
  const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
  const linked = (endpoint.asked?.links ?? []).filter(({ alias }) => alias.toLowerCase() === short);
  if (linked.length > 0) {
    return linked.flatMap(({ container }) => membership.get(container) ?? membership.named(container));
  }
  const members = membership.named(short);
  return members.length > 0 || short === name ? members : membership.named(name);
}

/** `<name>.<network>` of the running container that has the address a reverse name means. */
export function nameOfAddress(scope: NameScope, reverse: string): Found {
  const address = addressOfReverse(reverse);
  if (address === undefined) return undefined;
  for (const { network } of scope.places) {
    const member = network.membership.at(address);
    if (member?.running && member.names[0]) return [`${member.names[0]}.${network.record.name}`];
  }
  return undefined;
}

/** The address in `4.3.2.1.in-addr.arpa` or the nibbles of `….ip6.arpa`; undefined for other names. */
export function addressOfReverse(name: string): string | undefined {
  const four = /^((?:\d{1,3}\.){4})in-addr\.arpa$/.exec(name)?.[1];
  if (four !== undefined) return four.split('.').slice(0, 4).reverse().join('.');
  const six = /^((?:[0-9a-f]\.){32})ip6\.arpa$/.exec(name)?.[1];
  if (six === undefined) return undefined;
  return ipText(Buffer.from(six.split('.').slice(0, 32).reverse().join(''), 'hex'));
}
