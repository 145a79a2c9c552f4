import type { Digest } from '@atoll/reference';
import { describe, expect, test } from 'vitest';
import { chainIds, compressionOf, detectCompression, parsePlatform, platformString, selectManifest } from './index.ts';

const HOST = { os: 'linux', architecture: 'amd64' };

describe('parsePlatform', () => {
  test.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['arm64', 'linux/arm64'],
    ['windows', 'windows/amd64'],
    ['Linux/AARCH64', 'linux/arm64'],
  ])('%s is %s', (text, want) => {
    expect(platformString(parsePlatform(text, HOST))).toBe(want);
  });

  test.each(['', 'a/b/c/d', 'linux/', 'linux/am d64', `linux/${'x'.repeat(65)}`])('refused: %j', (text) => {
    expect(() => parsePlatform(text, HOST)).toThrow(/not a platform/);
  });
});

describe('selectManifest', () => {
  const offer = (...platforms: string[]) =>
    platforms.map((text, i) => {
      const [os = '', architecture = '', variant] = text.split('/');
      const digest = `sha256:${String(i).repeat(64)}` as Digest;
      return { mediaType: 'm', size: 1, digest, platform: { os, architecture, variant } };
    });

  test.each([
    ['the same', 'linux/amd64', ['linux/arm64', 'linux/amd64'], 1],
    ['the first of two alike', 'linux/amd64', ['linux/amd64', 'linux/amd64'], 0],
    ['an unknown one is none', 'linux/amd64', ['unknown/unknown'], undefined],
    ['none', 'linux/riscv64', ['linux/arm64', 'linux/amd64'], undefined],
    ['the variant', 'linux/arm/v7', ['linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6'], 1],
    ['the next older variant', 'linux/arm/v7', ['linux/arm/v5', 'linux/arm/v6'], 1],
    ['no newer variant', 'linux/arm/v6', ['linux/arm/v7'], undefined],
    ['v8 is what arm64 means', 'linux/arm64', ['linux/arm64/v8'], 0],
    ['another system', 'linux/amd64', ['windows/amd64'], undefined],
  ])('%s', (_name, wanted, offered, want) => {
    const manifests = offer(...offered);
    const chosen = selectManifest(manifests, parsePlatform(wanted, HOST));
    expect(chosen).toBe(want === undefined ? undefined : manifests[want]);
  });

  test('an entry without a platform is not chosen', () => {
    const { platform: _, ...bare } = offer('linux/amd64')[0] ?? { platform: undefined };
    expect(selectManifest([bare as never], HOST)).toBeUndefined();
  });
});

describe('layers', () => {
  test.each([
    ['gzip', [0x1f, 0x8b, 8], 'gzip'],
    ['zstd', [0x28, 0xb5, 0x2f, 0xfd], 'zstd'],
    ['bzip2', [0x42, 0x5a, 0x68], 'bzip2'],
    ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0], 'xz'],
    ['a tar', [0x2e, 0x2f], 'none'],
    ['nothing', [], 'none'],
  ])('first bytes of %s', (_name, head, want) => {
    expect(detectCompression(Uint8Array.from(head))).toBe(want);
  });

  test.each([
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
    ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ])('%s', (mediaType, want) => {
    expect(compressionOf(mediaType)).toBe(want);
  });

  test('chain ids as the specification computes them', () => {
    const [a, b] = ['a', 'b'].map((char) => `sha256:${char.repeat(64)}` as Digest) as [Digest, Digest];
    const chain = chainIds([a, b]);
    expect(chain[0]).toBe(a);
    expect(chain[1]).toBe('sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c');
  });
});
