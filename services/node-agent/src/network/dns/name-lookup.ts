import { defaultBridgeOf } from '@atoll/docker-api';
import type { containerV1, networkV1 } from '@atoll/proto';
import { ipText } from '../../runtime/ip-bytes.ts';
import type { HostedNetwork } from '../user/hosted-network.ts';
import type { Membership } from '../user/membership.ts';

/** What a container may know of the names around it. */
export interface NameScope {
  /** Its networks in the order names are looked up. */
  readonly places: readonly { readonly endpoint: networkV1.Endpoint; readonly network: HostedNetwork }[];
  /** It has a way out of the host: other names may be asked for elsewhere. */
  readonly external: boolean;
}

/** `undefined`: not a name of these networks. An empty list: it is one, without such data. */
export type Found = readonly string[] | undefined;

export type FindNetwork = (id: string) => HostedNetwork | undefined;

/** The networks of a container that this host was told of. On the default bridge it has a way out without them. */
export function scopeOf(record: containerV1.ContainerRecord, find: FindNetwork): NameScope {
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
 * Addresses of one family of a name in one of the networks, or with `.<network>` behind it: a link's alias; a service, by its own address if
 * that `isTranslated` for who asks, or `tasks.<service>`; a container's name, short id or alias. Only containers that run, or serve, count;
 * a name none of whose containers does is a name without an owner, not one to ask others for.
 */
export function addressesOfName(
  scope: NameScope,
  name: string,
  version: 4 | 6,
  isTranslated: (address: string) => boolean,
): Found | 'none' {
  let known = false;
  for (const { endpoint, network } of scope.places) {
    const owners = ownersOf(endpoint, network, name);
    known ||= owners.known;
    if (owners.present.length === 0) continue;
    const virtual = owners.present.map((one) => (version === 4 ? one.virtualIpv4 : one.virtualIpv6)).find(isTranslated);
    if (owners.isService && virtual) return [virtual];
    return owners.present
      .map((one) => (version === 4 ? one.ipv4Address : one.ipv6Address))
      .filter((address) => address !== '');
  }
  return known ? 'none' : undefined;
}

interface Owners {
  readonly known: boolean;
  /** Those that run; of a service those that serve. */
  readonly present: readonly networkV1.Member[];
  /** They have an address in common. */
  readonly isService: boolean;
}

function ownersOf(endpoint: networkV1.Endpoint, network: HostedNetwork, name: string): Owners {
  const { membership, record } = network;
  const suffix = `.${record.name.toLowerCase()}`;
  const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
  const linked = (endpoint.asked?.links ?? []).filter(({ alias }) => alias.toLowerCase() === short);
  if (linked.length > 0) {
    return running(linked.flatMap(({ container }) => membership.get(container) ?? membership.named(container)));
  }
  const owners = ownersNamed(membership, short);
  return owners.known || short === name ? owners : ownersNamed(membership, name);
}

const TASKS = 'tasks.';

function ownersNamed(membership: Membership, name: string): Owners {
  const service = membership.services.members(name);
  if (service) return serving(service, true);
  const tasks = name.startsWith(TASKS) ? membership.services.members(name.slice(TASKS.length)) : undefined;
  return tasks ? serving(tasks, false) : running(membership.named(name));
}

const serving = (members: readonly networkV1.Member[], isService: boolean): Owners => ({
  known: true,
  present: members.filter((member) => member.serving),
  isService,
});

const running = (members: readonly networkV1.Member[]): Owners => ({
  known: members.length > 0,
  present: members.filter((member) => member.running),
  isService: false,
});

/** `<name>.<network>` of the running container, or of the service somebody serves, that has the address a reverse name means. */
export function nameOfAddress(scope: NameScope, reverse: string): Found {
  const address = addressOfReverse(reverse);
  if (address === undefined) return undefined;
  for (const { network } of scope.places) {
    const member = network.membership.at(address);
    if (member?.running && member.names[0]) return [`${member.names[0]}.${network.record.name}`];
    const virtual = network.membership.services.addresses().find((one) => one.address === address);
    if (virtual && virtual.backends.length > 0) return [`${virtual.service}.${network.record.name}`];
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
