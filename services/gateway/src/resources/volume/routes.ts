import type { RouteFactories } from '../../routing/route-factories.ts';
import type { VolumeBackend } from './backend.ts';
import { inspectVolume, listVolumes } from './handlers.ts';

export const VOLUME_ROUTES = {
  VolumeList: listVolumes,
  VolumeInspect: inspectVolume,
} as const satisfies RouteFactories<VolumeBackend>;
