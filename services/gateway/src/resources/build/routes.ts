import type { RouteFactories } from '../../routing/route-factories.ts';
import type { BuildBackend } from './backend.ts';
import { buildImage, pruneBuildCache } from './handlers.ts';

export const BUILD_ROUTES = {
  ImageBuild: buildImage,
  BuildPrune: pruneBuildCache,
} as const satisfies RouteFactories<BuildBackend>;
