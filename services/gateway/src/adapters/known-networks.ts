import { invalidArgument } from '@atoll/errors';
import type { networkV1 } from '@atoll/proto';
import type { Mirror } from '../mirrors/mirror.ts';
import type { NetworkLookup } from '../resources/network/backend.ts';
import { BUILT_IN, viewOf } from '../resources/network/built-in.ts';
import type { NetworkView } from '../resources/network/network-view.ts';

/** The networks as this gateway knows them, by id and name. */
export class KnownNetworks implements NetworkLookup {
  readonly #mirror: Mirror<networkV1.NetworkRecord>;
  readonly #idsByName = new Map<string, string>();

  constructor(mirror: Mirror<networkV1.NetworkRecord>) {
    this.#mirror = mirror;
    for (const { id, name } of mirror.values()) this.#idsByName.set(name, id);
    mirror.onChange(({ id, previous, value }) => {
      if (previous && this.#idsByName.get(previous.name) === id) this.#idsByName.delete(previous.name);
      if (value) this.#idsByName.set(value.name, id);
    });
  }

  findNetwork(reference: string): NetworkView | undefined {
    const builtIn = BUILT_IN.find(({ id, name }) => reference === id || reference === name);
    if (builtIn) return builtIn;
    const record = this.#mirror.get(reference) ?? this.#mirror.get(this.#idsByName.get(reference) ?? '');
    return record ? viewOf(record) : this.#byPrefix(reference);
  }

  listNetworks(): readonly NetworkView[] {
    const records = [...this.#mirror.values()].sort((a, b) => (a.createdAtNs < b.createdAtNs ? -1 : 1));
    return [...BUILT_IN, ...records.map(viewOf)];
  }

  apply(record: networkV1.NetworkRecord): void {
    this.#mirror.apply(record.id, record, record.revision);
  }

  applyRemoval(id: string, revision: bigint): void {
    this.#mirror.apply(id, undefined, revision);
  }

  #byPrefix(prefix: string): NetworkView | undefined {
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return undefined;
    const found = this.listNetworks().filter(({ id }) => id.startsWith(prefix));
    if (found.length > 1) {
      throw invalidArgument(`network ${prefix} is ambiguous (${found.length} matches found based on ID prefix)`);
    }
    return found[0];
  }
}
