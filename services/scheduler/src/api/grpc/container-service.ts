import type { containerV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import type { Leadership } from '../../domain/leadership.ts';

type Definition = typeof containerV1.ContainerServiceService;

/** Users reach containers through gateways only. */
export const CONTAINER_SERVICE_ROLES: AllowTable<Definition> = {
  createContainer: ['gateway', 'operator'],
  startContainer: ['gateway', 'operator'],
  stopContainer: ['gateway', 'operator'],
  killContainer: ['gateway', 'operator'],
  restartContainer: ['gateway', 'operator'],
  removeContainer: ['gateway', 'operator'],
  pauseContainer: ['gateway', 'operator'],
  unpauseContainer: ['gateway', 'operator'],
  renameContainer: ['gateway', 'operator'],
  updateContainer: ['gateway', 'operator'],
  publishPorts: ['gateway', 'operator'],
  withdrawPorts: ['gateway', 'operator'],
};

export function containerService(leadership: Leadership): Handlers<Definition> {
  return {
    createContainer: async (request) => ({ record: await leadership.require().creation.create(request), warnings: [] }),
    startContainer: async ({ id }) => leadership.require().running.start(id),
    stopContainer: async (request, { signal }) => leadership.require().running.stop(request, signal),
    killContainer: async ({ id, signal }) => leadership.require().running.kill(id, signal),
    restartContainer: async (request, { signal }) => leadership.require().running.restart(request, signal),
    removeContainer: async (request) => ({ revision: await leadership.require().removal.remove(request) }),
    pauseContainer: async ({ id }) => ({ status: await leadership.require().running.pause(id) }),
    unpauseContainer: async ({ id }) => ({ status: await leadership.require().running.unpause(id) }),
    renameContainer: async ({ id, name }) => ({ record: await leadership.require().changes.rename(id, name) }),
    updateContainer: async (request) => leadership.require().changes.update(request),
    publishPorts: async (request) => leadership.require().portChanges.publish(request),
    withdrawPorts: async (request) => leadership.require().portChanges.withdraw(request),
  };
}
