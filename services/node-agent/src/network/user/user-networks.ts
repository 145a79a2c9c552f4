import { failedPrecondition } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { networkV1 } from '@atoll/proto';
import { runTool } from '../../processes/run-tool.ts';
import { SerialQueue } from '../../processes/serial-queue.ts';
import { ensureForwarding } from '../bridge.ts';
import type { StateJournal } from '../state-journal.ts';
import { TableWatch } from '../table-watch.ts';
import { AddressBinding } from './address-binding.ts';
import { ensureIpv6Forwarding } from './forwarding.ts';
import type { HostedNetwork } from './hosted-network.ts';
import { MacvlanNetwork } from './macvlan-network.ts';
import { checkState } from './membership.ts';
import { networksRuleset, networksTable } from './networks-ruleset.ts';
import { hasIpv6 } from './overlay-device.ts';
import { hostLinks, UserNetwork } from './user-network.ts';

export interface UserNetworksOptions {
  readonly nodeId: string;
  readonly hostIp: string;
  /** Where no interface has `hostIp`. */
  readonly fallbackMtu: number;
  readonly defaultBridge: string;
  /** Path of the shim, which watches the kernel's tables. */
  readonly shim: string;
  readonly journal: StateJournal<networkV1.NetworkState>;
  /** Of all containers of this host, whether they run or not. */
  readonly endpoints: () => readonly networkV1.Endpoint[];
  readonly logger: Logger;
}

/** How often devices, entries and rules are looked after. */
const ASSERT_MS = 60_000;

/** The networks of users on this host, as the scheduler tells them. */
export class UserNetworks {
  readonly #options: UserNetworksOptions;
  readonly #networks = new Map<string, HostedNetwork>();
  /** Told in the present session. */
  readonly #told = new Set<string>();
  readonly #queue = new SerialQueue();
  /** Networks being taken down: one that is told of anew meanwhile waits for it. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #binding: AddressBinding;
  /** The containers of this host are known, and with them whose addresses are bound. */
  #bound = false;
  #hostMtu: number;
  #rules = '';
  /** The table as the kernel shows it when it is ours, without elements of sets. */
  #expected = '';
  #watch: TableWatch | undefined;
  #sessions = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UserNetworksOptions) {
    this.#options = options;
    this.#hostMtu = options.fallbackMtu;
    const endpoints = (): networkV1.Endpoint[] =>
      options.endpoints().filter(({ networkId }) => !(this.#networks.get(networkId) instanceof MacvlanNetwork));
    this.#binding = new AddressBinding({ table: this.table, endpoints, logger: options.logger });
  }

  /** Name of the tables. */
  get table(): string {
    return networksTable(this.#options.defaultBridge);
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
    await this.#assertAll();
  }

  /** Binds members to their addresses from now on: all containers of before the agent's start are known. */
  async bind(): Promise<void> {
    this.#bound = true;
    await this.#assertRules(true);
    await this.#sweep();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#watch?.stop();
    await this.#options.journal.idle();
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
      const written = journal
        .add(id, state, () => wholeState(network))
        .catch((err: unknown) => {
          logger.warn({ err, network: id }, 'what was told of a network cannot be written down');
        });
      await Promise.all([network.follow(), this.#assertRules(false), written]);
    } catch (err) {
      logger.error({ err, network: id }, 'a network is not in order');
    }
  }

  /** Throws failed-precondition when nothing was told of the network. Afterwards its links can be made. */
  async ready(id: string): Promise<HostedNetwork> {
    const network = this.#networks.get(id);
    if (!network) throw failedPrecondition(`this host has not been told of network ${id} yet; try again`);
    await network.ready();
    await this.#assertRules(false);
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
    const after = this.#leaving.get(record.id);
    return new UserNetwork(record, { nodeId, hostIp, hostMtu: () => this.#hostMtu, ...(after && { after }) });
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
    await this.#assertRules(false);
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
    for (const network of this.#networks.values()) await network.assert();
    await this.#assertRules(true);
  }

  async #sweep(): Promise<void> {
    const present = async (): Promise<string[]> => (await hostLinks()).map(({ ifname }) => ifname);
    if (this.#bound && this.#bridged().length > 0) await this.#binding.sweep(present);
  }

  /** Written when something of it has changed, or when somebody else may have changed it. */
  #assertRules(always: boolean): Promise<void> {
    return this.#queue.run(async () => {
      const { defaultBridge, hostIp } = this.#options;
      const networks = this.#bridged();
      const peers = new Set(networks.flatMap((network) => [...network.membership.hosts()]));
      const rules = networksRuleset({ defaultBridge, hostIp, networks: networks.map(({ record }) => record), peers });
      const gone = networks.length === 0 && (this.#rules === '' || this.#rules === rules);
      if (gone || (!always && rules === this.#rules)) return;
      if (networks.length > 0) await ensureForwarding();
      if (networks.some(({ record }) => hasIpv6(record) && !record.internal)) await ensureIpv6Forwarding();
      await Promise.all([
        runTool('nft', ['-f', '-'], { input: rules }),
        this.#bound ? this.#binding.assert(networks.map(({ record }) => record)) : undefined,
      ]);
      this.#rules = rules;
      this.#expected = await this.#listTable();
      this.#watch ??= this.#startWatch();
    });
  }

  /** What somebody else removes is written anew at once: until then networks are not kept apart. */
  #startWatch(): TableWatch {
    const { shim, logger } = this.#options;
    const watch = new TableWatch({
      shim,
      table: this.table,
      logger,
      onChange: async () => {
        // Our own writing is told too.
        if ((await this.#queue.run(() => this.#listTable())) === this.#expected) return;
        logger.warn({ table: this.table }, 'somebody has changed the rules of networks; they are written again');
        await this.#assertRules(true);
      },
    });
    watch.start();
    return watch;
  }

  /** Both tables; empty when there is none. */
  async #listTable(): Promise<string> {
    const list = (family: string): Promise<string> =>
      runTool('nft', ['-t', 'list', 'table', family, this.table]).catch(() => '');
    return (await Promise.all([list('inet'), list('bridge')])).join('');
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
