import { invalidArgument, notFound } from '@atoll/errors';
import type { ImageConfig } from '../image/resolved-image.ts';

/**
 * Whether an image is of the platform a client asked for (`linux`, `linux/amd64`, `linux/arm64/v8`; empty: any).
 * @throws not-found, as docker, when it is not
 */
export function checkPlatform(platform: string, reference: string, image: ImageConfig): void {
  if (platform === '') return;
  if (!/^[a-z0-9]+(\/[a-z0-9_]+(\/[a-z0-9]+)?)?$/.test(platform)) {
    throw invalidArgument(`"${platform}" is an invalid component of platform: want os[/architecture[/variant]]`);
  }
  const [os, architecture, variant] = platform.split('/');
  const has = { os: image.os || 'linux', architecture: image.architecture || 'amd64', variant: image.variant ?? '' };
  const same =
    os === has.os &&
    (architecture === undefined || architecture === has.architecture) &&
    (variant === undefined || has.variant === '' || variant === has.variant);
  if (same) return;
  throw notFound(
    `image with reference ${reference} was found but its platform (${has.os}/${has.architecture}) does not match the specified platform (${platform})`,
  );
}
