import { isEncrypted } from '@atoll/docker-api';
import { failedPrecondition } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { networkV1 } from '@atoll/proto';
import type { StateJournal } from '../state-journal.ts';
import type { WireGuard } from '../wireguard/wireguard.ts';
import { innerMtu, type WireGuardPeer } from '../wireguard/wireguard-device.ts';
import type { HostedNetwork } from './hosted-network.ts';
import { Lingering } from './lingering.ts';
import { MacvlanNetwork } from './macvlan-network.ts';
import { checkState } from './membership.ts';
import { NetworkTables } from './network-tables.ts';
import type { NetworksRules } from './networks-ruleset.ts';
import { ENCAPSULATION_BYTES, type Underlay } from './overlay-device.ts';
import { hostLinks, UserNetwork } from './user-network.ts';

export interface UserNetworksOptions {
  readonly nodeId: string;
  readonly hostIp: string;
  /** Where no interface has `hostIp`. */
  readonly fallbackMtu: number;
  readonly defaultBridge: string;
  /** Carries encrypted networks. */
  readonly wireguard: WireGuard;
  /** Path of the shim, which watches the kernel's tables. */
  readonly shim: string;
  readonly journal: StateJournal<networkV1.NetworkState>;
  /** Of all containers of this host, whether they run or not. */
  readonly endpoints: () => readonly networkV1.Endpoint[];
  readonly logger: Logger;
}

/** How often devices, entries and rules are looked after. */
const ASSERT_MS = 60_000;
/** For how long a host counts as one with members after its last one has left, as the scheduler has it with networks. */
const LINGER_MS = 10_000;

/** The networks of users on this host, as the scheduler tells them. */
export class UserNetworks {
  readonly #options: UserNetworksOptions;
  readonly #networks = new Map<string, HostedNetwork>();
  /** Told in the present session. */
  readonly #told = new Set<string>();
  readonly #listeners = new Set<(id: string) => void>();
  /** Networks being taken down: one that is told of anew meanwhile waits for it. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #tables: NetworkTables;
  /** Addresses of hosts with members of networks that are not encrypted. */
  readonly #peers = new Lingering<string>(LINGER_MS);
  readonly #encryptedPeers = new Lingering<WireGuardPeer>(LINGER_MS);
  #hostMtu: number;
  #sessions = 0;
  #lingering: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UserNetworksOptions) {
    this.#options = options;
    this.#hostMtu = options.fallbackMtu;
    const endpoints = (): networkV1.Endpoint[] =>
      options.endpoints().filter(({ networkId }) => !(this.#networks.get(networkId) instanceof MacvlanNetwork));
    this.#tables = new NetworkTables({ ...options, endpoints, current: () => this.#rules() });
  }

  /** Name of the tables. */
  get table(): string {
    return this.#tables.name;
  }

  ids(): readonly string[] {
    return [...this.#networks.keys()];
  }

  get(id: string): HostedNetwork | undefined {
    return this.#networks.get(id);
  }

  /** Remembers what was told before the agent's start, and brings the kernel into that form. */
  async recover(): Promise<void> {
    await this.#readMtu();
    for (const state of await this.#options.journal.load()) this.#take(state);
    this.#timer = setInterval(() => {
      void this.#look().catch((err: unknown) => this.#options.logger.warn({ err }, 'networks not in order'));
    }, ASSERT_MS).unref();
    this.#options.wireguard.watch(() => this.#assertAll());
    await this.#assertAll();
  }

  /** Binds members to their addresses from now on: all containers of before the agent's start are known. */
  async bind(): Promise<void> {
    this.#tables.bind();
    await this.#tables.assert(true);
    await this.#sweep();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#lingering);
    this.#tables.stop();
    this.#options.wireguard.stop();
    await this.#options.journal.idle();
  }

  /** Hears of each network of which something is told. The listener must not throw. */
  onChange(listener: (id: string) => void): void {
    this.#listeners.add(listener);
  }

  /** A leader has admitted this node and tells every network that has members here. */
  sessionBegan(): void {
    this.#sessions++;
    this.#told.clear();
  }

  /** In the order of calls; resolves when the kernel has followed. A failure is noted and mended later. */
  async apply(state: networkV1.NetworkState): Promise<void> {
    const { logger, journal } = this.#options;
    const id = state.network?.id ?? '';
    try {
      if (state.unused && !this.#isUsed(id)) return await this.#drop(id);
      // One that a container here is still attached to goes at a later look.
      if (state.unused) this.#told.delete(id);
      else this.#told.add(id);
      const network = this.#take(state);
      for (const listener of this.#listeners) listener(id);
      const written = journal
        .add(id, state, () => wholeState(network))
        .catch((err: unknown) => {
          logger.warn({ err, network: id }, 'what was told of a network cannot be written down');
        });
      await Promise.all([this.#follow(network), this.#tables.assert(false), written]);
      this.#letGo();
    } catch (err) {
      logger.error({ err, network: id }, 'a network is not in order');
    }
  }

  /** Throws failed-precondition when nothing was told of the network. Afterwards its links can be made. */
  async ready(id: string): Promise<HostedNetwork> {
    const network = this.#networks.get(id);
    if (!network) throw failedPrecondition(`this host has not been told of network ${id} yet; try again`);
    if (network.isEncrypted) await this.#assertEncryption(false);
    await network.ready();
    await this.#tables.assert(false);
    return network;
  }

  #take(state: networkV1.NetworkState): HostedNetwork {
    const record = checkState(state);
    const network = this.#networks.get(record.id) ?? this.#create(record);
    this.#networks.set(record.id, network);
    network.apply(state);
    return network;
  }

  #create(record: networkV1.NetworkRecord): HostedNetwork {
    const { nodeId, hostIp } = this.#options;
    if (record.driver === 'macvlan') return new MacvlanNetwork(record, hostIp);
    const underlay = (): Underlay => this.#underlay(isEncrypted(record));
    const after = this.#leaving.get(record.id);
    return new UserNetwork(record, { nodeId, underlay, ...(after && { after }) });
  }

  /** Those with devices of their own here. */
  #bridged(): readonly UserNetwork[] {
    return [...this.#networks.values()].filter((network) => network instanceof UserNetwork);
  }

  async #drop(id: string): Promise<void> {
    const network = this.#networks.get(id);
    this.#networks.delete(id);
    const down = network?.takeDown() ?? Promise.resolve();
    const ended = down.catch(() => undefined);
    this.#leaving.set(id, ended);
    try {
      await Promise.all([this.#options.journal.forget(id), down]);
    } finally {
      if (this.#leaving.get(id) === ended) this.#leaving.delete(id);
    }
    await this.#tables.assert(false);
    if (network?.isEncrypted) await this.#assertEncryption(false);
  }

  async #follow(network: HostedNetwork): Promise<void> {
    if (network.isEncrypted) await this.#assertEncryption(false);
    await network.follow();
  }

  /** Hosts that have had no member for a while. */
  #letGo(): void {
    const next = Math.min(this.#peers.next, this.#encryptedPeers.next);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#lingering ??= setTimeout(
      () => {
        this.#lingering = undefined;
        void Promise.all([this.#tables.assert(false), this.#assertEncryption(false)])
          .catch((err: unknown) => this.#options.logger.warn({ err }, 'networks not in order'))
          .then(() => this.#letGo());
      },
      next - performance.now() + 1,
    ).unref();
  }

  #underlay(encrypted: boolean): Underlay {
    const { hostIp, wireguard } = this.#options;
    if (!encrypted) return { address: hostIp, mtu: this.#hostMtu, encapsulation: ENCAPSULATION_BYTES.ipv4 };
    return {
      // A host that cannot encrypt has none, and no device is made there.
      get address() {
        return wireguard.address;
      },
      device: wireguard.device,
      mtu: innerMtu(this.#hostMtu, hostIp),
      encapsulation: ENCAPSULATION_BYTES.ipv6,
    };
  }

  /** The device below all encrypted networks: it comes with the first of them and goes after the last. */
  async #assertEncryption(always: boolean): Promise<void> {
    const { wireguard } = this.#options;
    const encrypted = this.#bridged().filter(({ isEncrypted }) => isEncrypted);
    // Of a host with two keys, for a moment, both count.
    const peers = new Map(
      encrypted.flatMap(({ membership }) => membership.peers().map((peer) => [peer.publicKey, peer] as const)),
    );
    const kept = this.#encryptedPeers.keep(peers);
    if (encrypted.length === 0) return await wireguard.takeDown();
    const underlay = this.#underlay(true);
    const asked = encrypted.map(({ record }) => record.mtu && record.mtu + underlay.encapsulation);
    const wish = { peers: kept, mtu: Math.max(underlay.mtu, ...asked) };
    const isNew = await wireguard.assert(wish, always);
    // What was on top of the one before went with it.
    if (isNew) for (const network of encrypted) await network.assert();
  }

  /** Networks nobody has told of in this session, and nobody here uses, were given up while there was no session. */
  async #look(): Promise<void> {
    const forgotten = [...this.#networks.keys()].filter((id) => !this.#told.has(id) && !this.#isUsed(id));
    if (this.#sessions > 0) for (const id of forgotten) await this.#drop(id);
    await this.#assertAll();
    await this.#sweep();
  }

  async #assertAll(): Promise<void> {
    await this.#readMtu();
    await this.#tables.assert(true);
    // A host that cannot encrypt any more has its other networks all the same.
    const encryption = await this.#assertEncryption(true).catch((error: unknown) => error);
    for (const network of this.#networks.values()) {
      if (!network.isEncrypted || encryption === undefined) await network.assert();
    }
    if (encryption !== undefined) throw encryption;
  }

  async #sweep(): Promise<void> {
    await this.#tables.sweep(async () => (await hostLinks()).map(({ ifname }) => ifname));
  }

  #rules(): NetworksRules {
    const { defaultBridge, hostIp, wireguard } = this.#options;
    const networks = this.#bridged();
    const clear = networks.filter((network) => !network.isEncrypted);
    const there = new Set(clear.flatMap(({ membership }) => [...membership.hosts()]));
    const peers = this.#peers.keep(new Map([...there].map((address) => [address, address])));
    const records = networks.map(({ record }) => record);
    return { defaultBridge, hostIp, networks: records, peers, wireguard: wireguard.device };
  }

  #isUsed(id: string): boolean {
    return this.#options.endpoints().some(({ networkId }) => networkId === id);
  }

  async #readMtu(): Promise<void> {
    const { hostIp, fallbackMtu } = this.#options;
    const own = (await hostLinks()).find(({ addr_info }) => addr_info?.some(({ local }) => local === hostIp));
    this.#hostMtu = own?.mtu ?? fallbackMtu;
  }
}

function wholeState(network: HostedNetwork): networkV1.NetworkState {
  const members = [...network.membership.members()];
  return networkV1.NetworkState.fromPartial({ network: network.record, complete: true, members });
}
