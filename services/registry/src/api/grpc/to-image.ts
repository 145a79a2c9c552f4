import { imageV1 } from '@atoll/proto';
import { familiarNameOf } from '../../domain/images/image-store.ts';
import type { ImageView } from '../../domain/images/image-view.ts';
import type { ListedImage } from '../../domain/images/list-images.ts';
import type { NameOfImage } from '../../domain/records/image-references.ts';

/** Bytes of configs in one list: a list has to fit into one message. */
const LIST_CONFIG_BYTES = 8 * 1024 * 1024;

/** A list of images; beyond the first megabytes of configs the rest comes without theirs, as the contract allows. */
export function toImages(listed: readonly ListedImage[]): imageV1.Image[] {
  let bytes = 0;
  return listed.map(({ image, names }) => {
    bytes += image.configBytes.byteLength;
    const message = toImage(image, names);
    if (bytes > LIST_CONFIG_BYTES) message.config = Buffer.alloc(0);
    return message;
  });
}

export function toImage(image: ImageView, names: readonly NameOfImage[]): imageV1.Image {
  return imageV1.Image.fromPartial({
    id: image.id,
    manifestDigest: image.record.manifest,
    repoTags: names.filter((name) => name.kind === 'tag').map(familiarNameOf),
    repoDigests: names.filter((name) => name.kind === 'digest').map(familiarNameOf),
    createdAt: BigInt(image.createdAt),
    size: BigInt(image.size),
    config: Buffer.from(image.configBytes),
    layers: image.layers.map((layer) => ({ ...layer, size: BigInt(layer.size) })),
    labels: image.config.config.Labels ?? {},
    parent: image.record.parent ?? '',
  });
}
