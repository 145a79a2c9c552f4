import type { Logger } from '@atoll/logging';
import type { containerV1 } from '@atoll/proto';
import type { FindNetwork } from './name-lookup.ts';
import type { ServiceSource } from './service-channel.ts';
import { type ServiceList, servicesOf } from './service-list.ts';

export interface ServicesOptions {
  readonly networks: { readonly get: FindNetwork };
  /** The record of a container of this host. */
  readonly container: (id: string) => containerV1.ContainerRecord | undefined;
  readonly logger: Logger;
}

/** The services this host's containers find, by what the scheduler has told. */
export class Services implements ServiceSource {
  readonly #options: ServicesOptions;
  /** Said once. */
  #saidRefused = false;
  readonly #saidTooMany = new Set<string>();

  constructor(options: ServicesOptions) {
    this.#options = options;
  }

  of(containerId: string): ServiceList | undefined {
    const record = this.#options.container(containerId);
    const list = record && servicesOf(record, (id) => this.#options.networks.get(id));
    if (!list || list.leftOut === 0) this.#saidTooMany.delete(containerId);
    else if (!this.#saidTooMany.has(containerId)) {
      this.#saidTooMany.add(containerId);
      this.#options.logger.warn(
        { container: containerId, leftOut: list.leftOut },
        'a container finds more services, or containers of services, than its shim translates: the names of the others resolve to containers',
      );
    }
    return list;
  }

  refused(containerId: string, errno: number | undefined): void {
    if (this.#saidRefused) return;
    this.#saidRefused = true;
    this.#options.logger.warn(
      { container: containerId, errno },
      'a container cannot have the addresses of services translated (nftables with nat is needed, and a shim of this version): names of services resolve to their containers there',
    );
  }

  /** Is the container in this network? */
  concerns(containerId: string, networkId: string): boolean {
    return this.#options.container(containerId)?.endpoints.some((one) => one.networkId === networkId) ?? false;
  }
}
