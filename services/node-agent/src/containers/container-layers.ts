import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { LayerLease, LayerStore } from '../images/layer-store.ts';

/** The layers of a container's own image, and of the images it mounts. */
export interface ContainerLayers extends LayerLease {
  /** Folders of a mounted image, top first, by the mount's target. */
  readonly images: ReadonlyMap<string, readonly string[]>;
}

/** One of the 128 that overlayfs mounts is the runtime's own. */
const MAX_LAYERS = 127;

/** Fetches what is missing and leases all; then nothing of a part that failed is left leased. */
export async function acquireLayers(
  store: LayerStore,
  spec: containerV1.ContainerSpec,
  signal: AbortSignal,
): Promise<ContainerLayers> {
  const wanted = [spec.image?.layers ?? [], ...mountedImages(spec).map(({ layers }) => layers)];
  const settled = await Promise.allSettled(wanted.map((layers) => store.acquire(layers, signal)));
  const leases = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = settled.find((one) => one.status === 'rejected');
  if (!failed && leases.every(({ directories }) => directories.length <= MAX_LAYERS)) return together(spec, leases);
  for (const lease of leases) lease.release();
  if (failed) throw failed.reason;
  throw invalidArgument(
    `an image of this container has more than ${MAX_LAYERS} layers, which no host can mount: join some of them`,
  );
}

/** Leases without looking, for a container that is found again. */
export function retainLayers(store: LayerStore, spec: containerV1.ContainerSpec | undefined): LayerLease {
  if (!spec) return store.retain([]);
  const wanted = [spec.image?.layers ?? [], ...mountedImages(spec).map(({ layers }) => layers)];
  return together(
    spec,
    wanted.map((layers) => store.retain(layers)),
  );
}

function together(spec: containerV1.ContainerSpec, leases: readonly LayerLease[]): ContainerLayers {
  const [own, ...others] = leases;
  const images = mountedImages(spec).map(({ target }, index) => [target, others[index]?.directories ?? []] as const);
  return {
    directories: own?.directories ?? [],
    images: new Map(images),
    release: () => {
      for (const lease of leases) lease.release();
    },
  };
}

function mountedImages(spec: containerV1.ContainerSpec) {
  return spec.mounts
    .filter(({ type }) => type === 'image')
    .map(({ target, image }) => ({ target, layers: image?.layers ?? [] }));
}
