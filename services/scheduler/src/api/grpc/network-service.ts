import type { networkV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import type { Leadership } from '../../domain/leadership.ts';

type Definition = typeof networkV1.NetworkServiceService;

/** Users reach networks through gateways only. */
export const NETWORK_SERVICE_ROLES: AllowTable<Definition> = {
  createNetwork: ['gateway', 'operator'],
  removeNetwork: ['gateway', 'operator'],
  connectContainer: ['gateway', 'operator'],
  disconnectContainer: ['gateway', 'operator'],
};

export function networkService(leadership: Leadership): Handlers<Definition> {
  return {
    createNetwork: async (request) => ({ network: await leadership.require().networks.create(request), warning: '' }),
    removeNetwork: async ({ id }) => ({ revision: await leadership.require().networks.remove(id) }),
    connectContainer: async (request) => ({ revision: await leadership.require().connections.connect(request) }),
    disconnectContainer: async (request) => ({ revision: await leadership.require().connections.disconnect(request) }),
  };
}
