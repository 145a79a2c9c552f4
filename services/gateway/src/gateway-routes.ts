import { unimplemented } from '@atoll/errors';
import type { BuildBackend } from './resources/build/backend.ts';
import { BUILD_ROUTES } from './resources/build/routes.ts';
import type { ContainerBackend, PruneNews } from './resources/container/backend.ts';
import { publishPorts, withdrawPorts } from './resources/container/ports.ts';
import { CONTAINER_ROUTES } from './resources/container/routes.ts';
import type { ExecBackend } from './resources/exec/backend.ts';
import { EXEC_ROUTES } from './resources/exec/routes.ts';
import type { ImageBackend } from './resources/image/backend.ts';
import { IMAGE_ROUTES } from './resources/image/routes.ts';
import type { NetworkBackend } from './resources/network/backend.ts';
import { NETWORK_ROUTES } from './resources/network/routes.ts';
import type { SystemBackend } from './resources/system/backend.ts';
import { SYSTEM_ROUTES } from './resources/system/routes.ts';
import type { VolumeBackend } from './resources/volume/backend.ts';
import type { VolumeCopies } from './resources/volume/copy-backend.ts';
import { backupVolume, cloneVolume, moveVolume } from './resources/volume/copy-handlers.ts';
import { discardRestore, restoreVolume, suspendRestore } from './resources/volume/restore-handlers.ts';
import { VOLUME_ROUTES } from './resources/volume/routes.ts';
import { bindRoutes, type RouteFactories } from './routing/route-factories.ts';
import { type ExtraRoute, RouteTable } from './routing/route-table.ts';

export interface Backends {
  readonly containers: ContainerBackend;
  readonly execs: ExecBackend;
  readonly images: ImageBackend & PruneNews;
  readonly builds: BuildBackend;
  readonly networks: NetworkBackend;
  readonly volumes: VolumeBackend & VolumeCopies;
  readonly system: SystemBackend;
}

/** Every operation that is built, by resource: what `docs/docker-api.md` is made from. */
export const BUILT_ROUTES = {
  containers: CONTAINER_ROUTES,
  execs: EXEC_ROUTES,
  images: IMAGE_ROUTES,
  builds: BUILD_ROUTES,
  networks: NETWORK_ROUTES,
  volumes: VOLUME_ROUTES,
  system: SYSTEM_ROUTES,
} as const satisfies { readonly [K in keyof Backends]: RouteFactories<Backends[K]> };

/** Not in the published description any more or not yet, and asked for by clients. */
const EXTRAS: readonly ExtraRoute[] = [
  {
    method: 'POST',
    path: '/grpc',
    handler: () => Promise.reject(unimplemented('POST /grpc is not built yet: BuildKit; set DOCKER_BUILDKIT=0')),
  },
];

/** Requests docker has not: what they do is in the documents the notes name. */
export const OWN_ROUTES = [
  {
    method: 'POST',
    path: '/containers/{id}/ports',
    notes: 'publishes ports of a container that exists (`docs/networking.md`)',
    make: ({ containers }: Backends) => publishPorts(containers),
  },
  {
    method: 'POST',
    path: '/containers/{id}/ports/remove',
    notes: 'withdraws them',
    make: ({ containers }: Backends) => withdrawPorts(containers),
  },
  {
    method: 'GET',
    path: '/atoll/volumes/{volume}/backup',
    notes: 'an archive of a volume (`docs/volumes.md`)',
    make: ({ volumes }: Backends) => backupVolume(volumes),
  },
  {
    method: 'POST',
    path: '/atoll/volumes/{volume}/restore',
    notes: 'a volume from an archive',
    make: ({ volumes }: Backends) => restoreVolume(volumes),
  },
  {
    method: 'GET',
    path: '/atoll/volumes/{volume}/restore',
    notes: 'how far one has come that was cut',
    make: ({ volumes }: Backends) => suspendRestore(volumes),
  },
  {
    method: 'DELETE',
    path: '/atoll/volumes/{volume}/restore',
    notes: 'gives it up',
    make: ({ volumes }: Backends) => discardRestore(volumes),
  },
  {
    method: 'POST',
    path: '/atoll/volumes/{volume}/clone',
    notes: 'a copy on the same host',
    make: ({ volumes }: Backends) => cloneVolume(volumes),
  },
  {
    method: 'POST',
    path: '/atoll/volumes/{volume}/move',
    notes: 'ships it to another host',
    make: ({ volumes }: Backends) => moveVolume(volumes),
  },
] as const;

export function gatewayRoutes(backends: Backends): RouteTable {
  return new RouteTable(
    {
      ...bindRoutes(BUILT_ROUTES.containers, backends.containers),
      ...bindRoutes(BUILT_ROUTES.execs, backends.execs),
      ...bindRoutes(BUILT_ROUTES.images, backends.images),
      ...bindRoutes(BUILT_ROUTES.builds, backends.builds),
      ...bindRoutes(BUILT_ROUTES.networks, backends.networks),
      ...bindRoutes(BUILT_ROUTES.volumes, backends.volumes),
      ...bindRoutes(BUILT_ROUTES.system, backends.system),
    },
    [...EXTRAS, ...OWN_ROUTES.map(({ method, path, make }) => ({ method, path, handler: make(backends) }))],
  );
}
