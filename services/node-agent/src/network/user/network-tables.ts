import type { Logger } from '@atoll/logging';
import type { networkV1 } from '@atoll/proto';
import { runTool } from '../../processes/run-tool.ts';
import { SerialQueue } from '../../processes/serial-queue.ts';
import { ensureForwarding } from '../bridge.ts';
import { type TableElement, TableElements } from '../table-elements.ts';
import { TableWatch } from '../table-watch.ts';
import { AddressBinding } from './address-binding.ts';
import { ensureIpv6Forwarding } from './forwarding.ts';
import { type NetworksRules, networksRuleset, networksTable, TUNNELS, tunnelsOf } from './networks-ruleset.ts';
import { hasIpv6 } from './overlay-device.ts';

export interface NetworkTablesOptions {
  /** What the rules are to be made of, as it is now. */
  readonly current: () => NetworksRules;
  readonly defaultBridge: string;
  /** Path of the shim, which watches the kernel's tables. */
  readonly shim: string;
  /** Of all containers of this host, whether they run or not. */
  readonly endpoints: () => readonly networkV1.Endpoint[];
  readonly logger: Logger;
}

/** The kernel's tables of all networks of users: what may pass, and who may speak with which address. */
export class NetworkTables {
  readonly name: string;
  readonly #options: NetworkTablesOptions;
  readonly #binding: AddressBinding;
  readonly #queue = new SerialQueue();
  /** The containers of this host are known, and with them whose addresses are bound. */
  #bound = false;
  /** What was written last, but for the set of tunnels, and that set. */
  #rules = '';
  #tunnels: ReadonlySet<string> = new Set();
  readonly #elements: TableElements;
  /** The tables as the kernel shows them when they are ours, without elements of sets, and what they were written of. */
  #expected: { readonly of: string; readonly listed: string } | undefined;
  #watch: TableWatch | undefined;

  constructor(options: NetworkTablesOptions) {
    this.#options = options;
    this.name = networksTable(options.defaultBridge);
    const { endpoints, logger } = options;
    this.#binding = new AddressBinding({ table: this.name, endpoints, logger });
    this.#elements = new TableElements(options.shim, logger);
  }

  /** From the next writing on members are bound to their addresses. */
  bind(): void {
    this.#bound = true;
  }

  stop(): void {
    this.#watch?.stop();
    this.#elements.stop();
  }

  /** Written when something of it has changed, or when somebody else may have changed it. */
  assert(always: boolean): Promise<void> {
    return this.#queue.run(async () => {
      const current = this.#options.current();
      const { networks } = current;
      const rules = networksRuleset({ ...current, peers: [] });
      const tunnels = tunnelsOf(current);
      const gone = networks.length === 0 && (this.#rules === '' || this.#rules === rules);
      if (gone || (!always && rules === this.#rules && (await this.#changeTunnels(tunnels)))) return;
      if (networks.length > 0) await ensureForwarding();
      if (networks.some((record) => hasIpv6(record) && !record.internal)) await ensureIpv6Forwarding();
      await Promise.all([
        runTool('nft', ['-f', '-'], { input: networksRuleset(current) }),
        this.#bound ? this.#binding.assert(networks) : undefined,
      ]);
      this.#rules = rules;
      this.#tunnels = tunnels;
      await this.#expect(`${this.#bound} ${rules}`, networks.length > 0);
      this.#watch ??= this.#startWatch();
    });
  }

  /** Takes away what links have left that are gone for good. @param present as of `AddressBinding.sweep` */
  async sweep(present: () => Promise<readonly string[]>): Promise<void> {
    if (this.#bound && this.#options.current().networks.length > 0) await this.#binding.sweep(present);
  }

  /** Without writing the table anew, which takes fifty times as long. False: not done, for the kernel has it otherwise. */
  async #changeTunnels(tunnels: ReadonlySet<string>): Promise<boolean> {
    const of = (change: TableElement['change'], addresses: readonly string[]): TableElement[] =>
      addresses.map((address) => {
        const key = Uint8Array.from(address.split('.').map(Number));
        return { change, family: 'inet', table: this.name, set: TUNNELS, key, value: new Uint8Array() };
      });
    const gone = [...this.#tunnels].filter((address) => !tunnels.has(address));
    const come = [...tunnels].filter((address) => !this.#tunnels.has(address));
    if (gone.length + come.length === 0) return true;
    try {
      await this.#elements.change([...of('delete', gone), ...of('add', come)]);
      this.#tunnels = tunnels;
      return true;
    } catch (err) {
      this.#options.logger.debug({ err }, 'the rules of networks are written anew');
      return false;
    }
  }

  /** What somebody else removes is written anew at once: until then networks are not kept apart. */
  #startWatch(): TableWatch {
    const { shim, logger } = this.#options;
    const watch = new TableWatch({
      shim,
      table: this.name,
      logger,
      onChange: async () => {
        // Our own writing is told too.
        if ((await this.#queue.run(() => this.#list())) === this.#expected?.listed) return;
        logger.warn({ table: this.name }, 'somebody has changed the rules of networks; they are written again');
        await this.assert(true);
      },
    });
    watch.start();
    return watch;
  }

  /** The same text is listed the same: what somebody has changed since it was written must not pass for ours. */
  async #expect(text: string, isThere: boolean): Promise<void> {
    if (this.#expected?.of === text) return;
    const listed = await this.#list();
    const isWhole = !isThere || listed.includes(`table inet ${this.name} `);
    this.#expected = isWhole ? { of: text, listed } : undefined;
  }

  /** Both tables; empty when there is none. */
  async #list(): Promise<string> {
    const list = (family: string): Promise<string> =>
      runTool('nft', ['-t', 'list', 'table', family, this.name]).catch(() => '');
    return (await Promise.all([list('inet'), list('bridge')])).join('');
  }
}
