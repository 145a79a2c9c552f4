import { runTool } from '../processes/run-tool.ts';

/** More are not told: a host that has so many is a switch. */
const MAX_INTERFACES = 256;

/** What `ip -json link show` says of an interface, as far as it is needed. */
interface Interface {
  readonly ifname: string;
  readonly flags?: readonly string[];
  readonly link_type?: string;
  readonly master?: string;
}

/**
 * Names of the interfaces of this host that links of containers can be made on (macvlan), in a fixed order: Ethernet, up, and no port of a
 * bridge or bond, whose frames are somebody else's already.
 * @param isOwn whether an interface is of this agent's own networks
 */
export async function parentInterfaces(isOwn: (name: string) => boolean): Promise<readonly string[]> {
  return possibleParents(await runTool('ip', ['-json', 'link', 'show']), isOwn);
}

/** Of the text of `ip -json link show`. */
export function possibleParents(json: string, isOwn: (name: string) => boolean): readonly string[] {
  return (JSON.parse(json || '[]') as Interface[])
    .filter(
      ({ ifname, flags, link_type, master }) =>
        link_type === 'ether' && flags?.includes('UP') && master === undefined && !isOwn(ifname),
    )
    .map(({ ifname }) => ifname)
    .sort()
    .slice(0, MAX_INTERFACES);
}

/** The kinds of links this kernel makes on another interface: one is made in a network namespace that goes at once. */
export async function parentLinkKinds(): Promise<readonly string[]> {
  const input = 'link add name a type veth peer name b\nlink add link a name c type macvlan mode bridge\n';
  const made = await runTool('unshare', ['--net', 'ip', '-batch', '-'], { input }).then(
    () => true,
    () => false,
  );
  return made ? ['macvlan'] : [];
}
