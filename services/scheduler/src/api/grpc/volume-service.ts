import { invalidArgument } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import type { Leadership } from '../../domain/leadership.ts';

type Definition = typeof volumeV1.VolumeServiceService;

export const VOLUME_SERVICE_ROLES: AllowTable<Definition> = {
  createVolume: ['gateway', 'operator'],
  removeVolume: ['gateway', 'operator'],
  holdVolume: ['gateway', 'operator'],
  cloneVolume: ['gateway', 'operator'],
  moveVolume: ['gateway', 'operator'],
  restoreVolume: ['gateway', 'operator'],
};

export function volumeService(leadership: Leadership): Handlers<Definition> {
  return {
    createVolume: async ({ volume }) => {
      if (!volume) throw invalidArgument('a volume needs a record');
      return { volume: await leadership.require().volumes.create(volume) };
    },
    removeVolume: async ({ name, force }) => ({ revision: await leadership.require().volumes.remove(name, force) }),
    holdVolume: async function* (request, { signal }) {
      yield* leadership.require().volumeCopying.hold(request, signal);
    },
    cloneVolume: async function* (request, { signal }) {
      yield* leadership.require().volumeCopying.clone(request, signal);
    },
    moveVolume: async function* (request, { signal }) {
      yield* leadership.require().volumeMove.move(request, signal);
    },
    restoreVolume: async function* (requests, { signal }) {
      yield* leadership.require().volumeRestoring.restore(requests, signal);
    },
  };
}
