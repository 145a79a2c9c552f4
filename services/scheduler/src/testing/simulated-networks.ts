import { failedPrecondition } from '@atoll/errors';
import type { containerV1, networkV1 } from '@atoll/proto';

/** What a simulated host was told of networks. */
export class SimulatedNetworks {
  readonly #networks = new Map<string, Map<string, networkV1.Member>>();
  /** Messages in order: `all <network> 3`, `change <network> 1 0`, `unused <network>`. */
  readonly journal: string[] = [];
  /** Until what it hears from now on is followed. */
  following: Promise<void> = Promise.resolve();

  ids(): string[] {
    return [...this.#networks.keys()];
  }

  /** Undefined when the host does not know the network. */
  members(networkId: string): networkV1.Member[] | undefined {
    const members = this.#networks.get(networkId);
    return members && [...members.values()];
  }

  hear({ network, complete, members, gone, unused }: networkV1.NetworkState): void {
    const id = network?.id ?? '';
    if (unused) {
      this.#networks.delete(id);
      this.journal.push(`unused ${id}`);
      return;
    }
    this.journal.push(complete ? `all ${id} ${members.length}` : `change ${id} ${members.length} ${gone.length}`);
    const known = complete ? new Map<string, networkV1.Member>() : this.#networks.get(id);
    if (!known) throw new Error(`a change of network ${id}, which the host was never told of`);
    for (const member of members) known.set(member.containerId, member);
    for (const container of gone) known.delete(container);
    this.#networks.set(id, known);
  }

  /** As an agent refuses what it cannot link. */
  require({ endpoints }: containerV1.ContainerRecord): void {
    const missing = endpoints.find(({ networkId }) => !this.#networks.has(networkId));
    if (missing) throw failedPrecondition(`the host was not told of network ${missing.networkId}`);
  }
}
