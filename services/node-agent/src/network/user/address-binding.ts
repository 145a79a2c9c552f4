import type { Logger } from '@atoll/logging';
import type { networkV1 } from '@atoll/proto';
import { runTool } from '../../processes/run-tool.ts';
import { bindingRuleset, removal, staleElements } from './binding-ruleset.ts';
import { endpointInterfaceOf } from './endpoint-links.ts';

export interface AddressBindingOptions {
  readonly table: string;
  /** Of all containers of this host, whether they run or not. */
  readonly endpoints: () => readonly networkV1.Endpoint[];
  readonly logger: Logger;
}

/** Keeps containers of one network from using each other's addresses: the host's table for it, which shims add the addresses of new links to. */
export class AddressBinding {
  readonly #options: AddressBindingOptions;
  #refused = false;

  constructor(options: AddressBindingOptions) {
    this.#options = options;
  }

  /** Writes the table as it should be. A kernel without bridge tables (CONFIG_NF_TABLES_BRIDGE) has networks all the same. */
  async assert(networks: readonly networkV1.NetworkRecord[]): Promise<void> {
    const { table, endpoints, logger } = this.#options;
    const rules = bindingRuleset({ table, networks, endpoints: endpoints() });
    const write = (text: string): Promise<string> => runTool('nft', ['-f', '-'], { input: text });
    try {
      // Somebody may have put sets of another kind in the place of ours: then the whole table is made anew.
      await write(rules).catch(() => write(`${removal(table).join('\n')}\n${rules}`));
      this.#refused = false;
    } catch (err) {
      if (!this.#refused) {
        logger.error({ err }, "containers of one network can use each other's addresses: the kernel took no rules");
      }
      this.#refused = true;
    }
  }

  /** Takes away what links have left that are gone for good. @param present names of interfaces that are there when it has been listed */
  async sweep(present: () => Promise<readonly string[]>): Promise<void> {
    const { table, endpoints } = this.#options;
    // Listed first: a link that is made meanwhile is of a record that is known by the time it is in the list.
    const listed = await Promise.all(
      ['ipv4', 'ipv6'].map(
        async (set) => [set, await runTool('nft', ['-j', 'list', 'set', 'bridge', table, set])] as const,
      ),
    );
    // A link may be there already that the record this host has of its container does not name yet.
    const there = await present();
    const ports = new Set([...there, ...endpoints().map(({ endpointId }) => endpointInterfaceOf(endpointId))]);
    const commands = listed.flatMap(([set, json]) => staleElements(table, set, json, ports));
    if (commands.length > 0) await runTool('nft', ['-f', '-'], { input: `${commands.join('\n')}\n` });
  }
}
