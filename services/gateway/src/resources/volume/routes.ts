import type { RouteFactories } from '../../routing/route-factories.ts';
import type { VolumeBackend } from './backend.ts';
import { createVolume, inspectVolume, listVolumes, pruneVolumes, removeVolume, updateVolume } from './handlers.ts';

export const VOLUME_ROUTES = {
  VolumeList: listVolumes,
  VolumeInspect: inspectVolume,
  VolumeCreate: createVolume,
  VolumeUpdate: updateVolume,
  VolumeDelete: removeVolume,
  VolumePrune: pruneVolumes,
} as const satisfies RouteFactories<VolumeBackend>;
