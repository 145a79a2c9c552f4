import { permissionDenied } from '@atoll/errors';
import type { nodeV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import { placeBuild } from '../../domain/build-placement.ts';
import type { Leadership } from '../../domain/leadership.ts';

type Definition = typeof nodeV1.NodeServiceService;

export const NODE_SERVICE_ROLES: AllowTable<Definition> = {
  session: ['node'],
  listNodes: ['gateway', 'operator', 'image-builder', 'registry', 'scheduler'],
  updateNode: ['gateway', 'operator'],
  removeNode: ['gateway', 'operator'],
  placeBuild: ['image-builder'],
};

export function nodeService(leadership: Leadership): Handlers<Definition> {
  return {
    session: async function* (requests, { peer, signal }) {
      if (peer?.role !== 'node') throw permissionDenied('only a node has a session');
      yield* leadership.require().sessions.serve(peer.id, requests, signal);
    },
    listNodes: async () => leadership.require().registry.list(),
    updateNode: async (request) => ({ node: await leadership.require().registry.update(request) }),
    removeNode: async ({ id, force }) => {
      await leadership.require().registry.remove(id, force);
      return {};
    },
    placeBuild: async (request) => ({ node: placeBuild(leadership.require().parts, request) }),
  };
}
