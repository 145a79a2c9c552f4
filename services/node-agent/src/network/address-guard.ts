import { runTool } from '../processes/run-tool.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import { guardCommands, guardRuleset, type HardwareAddress } from './guard-ruleset.ts';
import type { Subnet } from './subnet.ts';

/**
 * Keeps containers from speaking for each other: a port of the bridge takes frames of its own hardware address only (the shim sees to
 * that), and these rules say which IPv4 address belongs to which hardware address. Those made from the IPv4 address need no element of
 * their own, so a start costs nothing here; chosen ones (`--mac-address`) do.
 */
export class AddressGuard {
  readonly #bridge: string;
  readonly #subnet: Subnet;
  readonly #queue = new SerialQueue();
  readonly #chosen = new Map<string, HardwareAddress>();

  constructor(bridge: string, subnet: Subnet) {
    this.#bridge = bridge;
    this.#subnet = subnet;
  }

  /** Writes the whole table as it should be. */
  assert(): Promise<void> {
    return this.#queue.run(() => this.#write());
  }

  /** Notes a chosen address in use since before, without the kernel; for `assert` afterwards. */
  remember(owner: string, chosen: HardwareAddress): void {
    this.#chosen.set(owner, chosen);
  }

  /** Lets a chosen hardware address speak. */
  async admit(owner: string, chosen: HardwareAddress): Promise<void> {
    await this.withdraw(owner);
    await this.#queue.run(async () => {
      this.#chosen.set(owner, chosen);
      await this.#change('add', chosen);
    });
  }

  /** Does nothing when the owner has no chosen address. */
  async withdraw(owner: string): Promise<void> {
    if (!this.#chosen.has(owner)) return;
    await this.#queue.run(async () => {
      const chosen = this.#chosen.get(owner);
      if (!chosen) return;
      this.#chosen.delete(owner);
      await this.#change('delete', chosen);
    });
  }

  async #change(change: 'add' | 'delete', chosen: HardwareAddress): Promise<void> {
    try {
      // What two owners have would go for both with the first: write all.
      if (change === 'delete' && [...this.#chosen.values()].some(({ mac }) => mac === chosen.mac))
        return await this.#write();
      await runTool('nft', ['-f', '-'], { input: guardCommands(change, this.#bridge, chosen) });
    } catch {
      // The table is not there or not as it was: somebody flushed it.
      await this.#write();
    }
  }

  async #write(): Promise<void> {
    const input = guardRuleset(this.#bridge, this.#subnet, [...this.#chosen.values()]);
    await runTool('nft', ['-f', '-'], { input });
  }
}
