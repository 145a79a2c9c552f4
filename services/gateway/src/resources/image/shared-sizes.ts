import type { imageV1 } from '@atoll/proto';

/** Bytes of each image's layers that another of these images has too, by image id. */
export function sharedSizes(images: readonly imageV1.Image[]): ReadonlyMap<string, number> {
  const holders = new Map<string, number>();
  for (const image of images) {
    for (const diffId of new Set(image.layers.map((layer) => layer.diffId))) {
      holders.set(diffId, (holders.get(diffId) ?? 0) + 1);
    }
  }
  return new Map(
    images.map((image) => {
      const shared = image.layers.filter((layer) => (holders.get(layer.diffId) ?? 0) > 1);
      return [image.id, shared.reduce((sum, layer) => sum + Number(layer.size), 0)];
    }),
  );
}
