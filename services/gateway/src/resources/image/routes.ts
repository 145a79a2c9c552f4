import type { RouteFactories } from '../../routing/route-factories.ts';
import type { PruneNews } from '../container/backend.ts';
import type { ImageBackend } from './backend.ts';
import { imageHistory, inspectImage, listImages, pruneImages, removeImage, tagImage } from './store.ts';
import { createImage, loadImages, pushImage, saveImage, saveImages } from './transfers.ts';

export const IMAGE_ROUTES = {
  ImageList: listImages,
  ImageInspect: inspectImage,
  ImageHistory: imageHistory,
  ImageTag: tagImage,
  ImageDelete: removeImage,
  ImagePrune: pruneImages,
  ImageCreate: createImage,
  ImagePush: pushImage,
  ImageLoad: loadImages,
  ImageGet: saveImage,
  ImageGetAll: saveImages,
} as const satisfies RouteFactories<ImageBackend & PruneNews>;
