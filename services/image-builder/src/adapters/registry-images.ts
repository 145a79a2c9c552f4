import { hasReason } from '@atoll/errors';
import { parseImageConfig } from '@atoll/oci';
import { type containerV1, imageV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';
import type { HistoryEntry } from '../image/stage-state.ts';
import type { ImageSource, NewImage, PullOptions } from '../steps/image-source.ts';

/** An image of the store that was built on another one. */
export interface ChildImage {
  readonly history: readonly HistoryEntry[];
  /** Entries of the history that are the base's. */
  readonly baseLength: number;
  readonly layers: readonly containerV1.Layer[];
}

/** What the step cache asks the store. */
export interface StoreReader {
  hasBlob(digest: string, signal: AbortSignal): Promise<boolean>;
  /** Images the builder made on this one, by their parent in the store. */
  imagesOn(baseImageId: string, signal: AbortSignal): AsyncIterable<ChildImage>;
  /** A named image when its layers and history begin with those of the base; undefined otherwise, or when there is none. */
  imageOn(baseImageId: string, reference: string, signal: AbortSignal): Promise<ChildImage | undefined>;
}

/** The registry's ImageService and BlobService as the builder uses them. */
export class RegistryImages implements ImageSource, StoreReader {
  readonly #images: Client<typeof imageV1.ImageServiceService>;
  readonly #blobs: Client<typeof imageV1.BlobServiceService>;

  constructor(images: Client<typeof imageV1.ImageServiceService>, blobs: Client<typeof imageV1.BlobServiceService>) {
    this.#images = images;
    this.#blobs = blobs;
  }

  async find(reference: string, signal: AbortSignal): Promise<imageV1.Image | undefined> {
    try {
      return (await this.#images.resolveImage({ reference }, { signal })).image;
    } catch (error) {
      if (hasReason(error, 'not-found')) return undefined;
      throw error;
    }
  }

  async pull(reference: string, options: PullOptions, signal: AbortSignal): Promise<void> {
    const request = imageV1.PullImageRequest.fromPartial({
      reference,
      platform: options.platform,
      ...(options.auth ? { auth: options.auth } : {}),
    });
    for await (const { progress } of this.#images.pullImage(request, { signal })) {
      if (progress) await options.onProgress(progress);
    }
  }

  async create(image: NewImage, signal: AbortSignal): Promise<void> {
    await this.#images.createImage(imageV1.CreateImageRequest.fromPartial({ ...image, tags: [...image.tags] }), {
      signal,
    });
  }

  async tag(id: string, tag: string, signal: AbortSignal): Promise<void> {
    await this.#images.tagImage({ source: id, target: tag }, { signal });
  }

  async hasBlob(digest: string, signal: AbortSignal): Promise<boolean> {
    return (await this.#blobs.statBlob({ digest }, { signal })).exists;
  }

  async *imagesOn(baseImageId: string, signal: AbortSignal): AsyncGenerator<ChildImage> {
    const base = await this.find(baseImageId, signal);
    if (!base) return;
    const baseLength = parseImageConfig(base.config).history.length;
    const { images } = await this.#images.listImages(imageV1.ListImagesRequest.fromPartial({ all: true }), { signal });
    for (const image of images) {
      if (image.parent !== baseImageId || image.config.length === 0) continue;
      yield { history: parseImageConfig(image.config).history as HistoryEntry[], baseLength, layers: image.layers };
    }
  }

  async imageOn(baseImageId: string, reference: string, signal: AbortSignal): Promise<ChildImage | undefined> {
    const [base, image] = await Promise.all([this.find(baseImageId, signal), this.find(reference, signal)]);
    if (!base || !image) return undefined;
    const { history: before } = parseImageConfig(base.config);
    const { history } = parseImageConfig(image.config);
    const sameHistory = JSON.stringify(history.slice(0, before.length)) === JSON.stringify(before);
    const sameLayers = base.layers.every((layer, index) => image.layers[index]?.diffId === layer.diffId);
    if (!sameHistory || !sameLayers) return undefined;
    return { history: history as HistoryEntry[], baseLength: before.length, layers: image.layers };
  }
}
