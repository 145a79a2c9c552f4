import { writeFile } from 'node:fs/promises';
import { isEncrypted } from '@atoll/docker-api';
import { failedPrecondition } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import { runTool } from '../../processes/run-tool.ts';
import { SerialQueue } from '../../processes/serial-queue.ts';
import { innerAddress } from '../wireguard/inner-address.ts';
import { type EntryBatch, ForwardingEntries, type RemoteMember } from './forwarding-entries.ts';
import type { HostedNetwork } from './hosted-network.ts';
import { Membership } from './membership.ts';
import {
  bridgeCommands,
  bridgeOf,
  type DeviceWish,
  gatewaysOf,
  hasIpv6,
  type KernelLink,
  kernelEntries,
  mtuOf,
  targetOf,
  type Underlay,
  vxlanCommands,
  vxlanOf,
  vxlanPortCommand,
} from './overlay-device.ts';

export interface UserNetworkOptions {
  readonly nodeId: string;
  /** Errors: failed-precondition when this host cannot encrypt and the network is encrypted. */
  readonly underlay: () => Underlay;
  /** The devices of a network of this id that is being taken down: ours come after it. */
  readonly after?: Promise<void>;
}

/** One network of a user on this host that spans hosts: its devices and its entries about members on other hosts. */
export class UserNetwork implements HostedNetwork {
  readonly membership = new Membership();
  readonly #options: UserNetworkOptions;
  readonly #entries: ForwardingEntries;
  readonly #queue = new SerialQueue();
  readonly #changed = new Set<string>();
  #record: networkV1.NetworkRecord;
  #up: Promise<void> | undefined;
  #leaving = false;

  constructor(record: networkV1.NetworkRecord, options: UserNetworkOptions) {
    this.#record = record;
    this.#options = options;
    if (options.after) void this.#queue.run(() => options.after as Promise<void>);
    this.#entries = new ForwardingEntries(vxlanOf(record.id));
  }

  get record(): networkV1.NetworkRecord {
    return this.#record;
  }

  get isEncrypted(): boolean {
    return isEncrypted(this.#record);
  }

  get mtu(): number {
    return mtuOf(this.#record, this.#options.underlay());
  }

  /** Takes over what is told; the kernel follows in the background: see `settled`. The ids of the members that changed. */
  apply(state: networkV1.NetworkState): readonly string[] {
    const network = state.network ?? this.#record;
    if (this.#record.vni !== network.vni) throw failedPrecondition(`the VNI of network ${network.id} cannot change`);
    this.#record = network;
    const changed = this.membership.apply(state);
    for (const id of changed) this.#changed.add(id);
    return changed;
  }

  /** The devices are there and know the members told before. */
  async ready(): Promise<void> {
    if (this.#leaving) throw failedPrecondition(`network ${this.#record.name} is being taken down on this host`);
    this.#up ??= this.#queue
      .run(() => this.#assert())
      .catch((error: unknown) => {
        this.#up = undefined;
        throw error;
      });
    await this.#up;
    await this.follow();
  }

  /** Brings what has changed of the members into the kernel; many changes of a moment are one step. */
  async follow(): Promise<void> {
    if (this.#leaving) return;
    if (!this.#up) return await this.ready();
    await this.#queue.run(async () => {
      if (this.#changed.size === 0) return;
      await this.#run(this.#entries.follow(this.#takeChanges())).catch(() => this.#repair());
    });
  }

  /** Looks after devices and entries: others may have removed some. */
  assert(): Promise<void> {
    return this.#queue.run(async () => {
      if (!this.#leaving) await this.#assert();
    });
  }

  /** For good: what is still on its way to be followed makes nothing anew. Safe to repeat. */
  async takeDown(): Promise<void> {
    this.#leaving = true;
    await this.#queue.run(async () => {
      this.#up = undefined;
      const found = new Set((await hostLinks()).map(({ ifname }) => ifname));
      const names = [vxlanOf(this.#record.id), bridgeOf(this.#record.id)].filter((name) => found.has(name));
      await ipBatch(names.map((name) => `link del dev ${name}`));
    });
  }

  async #assert(): Promise<void> {
    const wish: DeviceWish = { network: this.#record, underlay: this.#options.underlay(), mtu: this.mtu };
    const links = await hostLinks();
    const bridge = bridgeOf(this.#record.id);
    // Settings of IPv6 come before its addresses, which are refused otherwise.
    if (!links.some(({ ifname }) => ifname === bridge)) {
      await ipBatch([`link add name ${bridge} type bridge mcast_snooping 0`]);
      links.push({ ifname: bridge });
    }
    await ipv6Settings(bridge, hasIpv6(this.#record) && gatewaysOf(this.#record).some((one) => one.includes(':')));
    await ipBatch([...bridgeCommands(wish, links), ...vxlanCommands(wish, links)]);
    if (this.#record.vni !== 0) {
      await runTool('bridge', ['-batch', '-'], { input: `${vxlanPortCommand(this.#record)}\n` });
      this.#entries.follow(this.#takeChanges());
      await this.#repair();
    }
  }

  /** Compares with all the kernel has. */
  async #repair(): Promise<void> {
    const device = vxlanOf(this.#record.id);
    const [forwarding, neighbours, neighbours6] = await Promise.all([
      runTool('bridge', ['-json', 'fdb', 'show', 'dev', device]),
      runTool('ip', ['-json', '-4', 'neigh', 'show', 'dev', device, 'nud', 'permanent']),
      runTool('ip', ['-json', '-6', 'neigh', 'show', 'dev', device, 'nud', 'permanent']),
    ]);
    const known = kernelEntries(forwarding, neighbours);
    const known6 = kernelEntries('', neighbours6);
    await this.#run(
      this.#entries.repair({ ...known, neighbours: new Map([...known.neighbours, ...known6.neighbours]) }),
    );
  }

  async #run({ bridge, ip }: EntryBatch): Promise<void> {
    await Promise.all([
      bridge.length > 0 ? runTool('bridge', ['-batch', '-'], { input: `${bridge.join('\n')}\n` }) : undefined,
      ipBatch(ip),
    ]);
  }

  #takeChanges(): readonly (readonly [string, RemoteMember | undefined])[] {
    const ids = [...this.#changed];
    this.#changed.clear();
    return ids.map((id) => {
      const member = this.membership.get(id);
      return [id, member && this.#remote(member)] as const;
    });
  }

  /** Undefined for one of this host, and for one whose host cannot be reached, or not without clear text. */
  #remote(member: networkV1.Member): RemoteMember | undefined {
    const { nodeId, hostIp, wireguard, macAddress, ipv4Address, ipv6Address } = member;
    const address = this.isEncrypted ? wireguard && innerAddress(wireguard.publicKey) : hostIp;
    if (nodeId === this.#options.nodeId || !address) return undefined;
    const target = targetOf(address, this.#options.underlay().device);
    return { macAddress, ipv4Address, ipv6Address, target };
  }
}

export async function hostLinks(): Promise<KernelLink[]> {
  return JSON.parse((await runTool('ip', ['-json', '-details', 'addr', 'show'])) || '[]') as KernelLink[];
}

async function ipBatch(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await runTool('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** Router advertisements of a container must not give the host addresses and routes (CVE-2020-13401). */
async function ipv6Settings(bridge: string, on: boolean): Promise<void> {
  for (const [setting, value] of [
    ['accept_ra', '0'],
    ['disable_ipv6', on ? '0' : '1'],
  ] as const) {
    await writeFile(`/proc/sys/net/ipv6/conf/${bridge}/${setting}`, value).catch((error: NodeJS.ErrnoException) => {
      // A kernel without IPv6 has nothing to refuse.
      if (error.code !== 'ENOENT' || on) throw error;
    });
  }
}
