import { invalidArgument } from '@atoll/errors';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { summaryObject } from '../container/list-view.ts';
import { imageSummary } from '../image/image-view.ts';
import { sharedSizes } from '../image/shared-sizes.ts';
import { knownVolumes, volumeObject } from '../volume/volume-view.ts';
import type { SystemBackend } from './backend.ts';

const TYPES: readonly string[] = ['container', 'image', 'volume', 'build-cache'];

/** GET /system/df */
export function diskUsage(backend: SystemBackend): Handler {
  return async ({ query, response, signal }) => {
    const asked = query.getAll('type');
    const unknown = asked.find((type) => !TYPES.includes(type));
    if (unknown !== undefined) throw invalidArgument(`unknown object type: ${unknown}`);
    const wants = (type: string): boolean => asked.length === 0 || asked.includes(type);
    const views = backend.list();
    const [usage, sizes, volumeSizes] = await Promise.all([
      wants('image') ? backend.storeUsage(signal) : undefined,
      wants('container') ? backend.sizes(views, signal) : undefined,
      wants('volume') ? backend.volumeSizes(signal) : undefined,
    ]);
    const counts = new Map<string, number>();
    for (const { spec } of views) {
      const id = spec.image?.imageId ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const shared = sharedSizes(usage?.images ?? []);
    const now = Date.now();
    sendJson(response, 200, {
      ...(usage === undefined
        ? {}
        : {
            LayersSize: usage.blobBytes,
            Images: usage.images.map((image) => imageSummary(image, counts.get(image.id) ?? 0, shared.get(image.id))),
          }),
      ...(sizes === undefined
        ? {}
        : {
            Containers: views.map((view) => {
              const sizeRw = sizes.get(view.record.id) ?? 0;
              const layers = (view.spec.image?.layers ?? []).reduce((sum, layer) => sum + Number(layer.size), 0);
              return summaryObject(view, now, { sizeRw, sizeRootFs: sizeRw + layers });
            }),
          }),
      ...(volumeSizes === undefined
        ? {}
        : {
            Volumes: [...knownVolumes(backend).values()].map((volume) => ({
              ...volumeObject(backend, volume),
              // -1 is docker's "unknown"; what was never used takes no room.
              UsageData: {
                RefCount: volume.users.length,
                Size: volumeSizes.get(volume.record.name) ?? (volume.record.nodeId === '' ? 0 : -1),
              },
            })),
          }),
      ...(wants('build-cache') ? { BuildCache: [] } : {}),
    });
  };
}
