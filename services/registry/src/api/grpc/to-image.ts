import { imageV1 } from '@atoll/proto';
import { familiarNameOf } from '../../domain/images/image-store.ts';
import type { ImageView } from '../../domain/images/image-view.ts';
import type { NameOfImage } from '../../domain/records/image-references.ts';

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
