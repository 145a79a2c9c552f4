import { invalidArgument } from '@atoll/errors';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { summaryObject } from '../container/list-view.ts';
import { imageSummary } from '../image/image-view.ts';
import { sharedSizes } from '../image/shared-sizes.ts';
import { usedVolumes } from '../volume/handlers.ts';
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
    const [usage, sizes] = await Promise.all([
      wants('image') ? backend.storeUsage(signal) : undefined,
      wants('container') ? backend.sizes(views, signal) : undefined,
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
      // Size -1 is docker's "unknown".
      ...(wants('volume')
        ? { Volumes: usedVolumes(backend).map((volume) => ({ ...volume, UsageData: { RefCount: 1, Size: -1 } })) }
        : {}),
      ...(wants('build-cache') ? { BuildCache: [] } : {}),
    });
  };
}
