import { MEDIA_TYPES } from './media-types.ts';

/** How a layer's tar is stored. */
export type Compression = 'none' | 'gzip' | 'zstd';

/** Recognises a compression by the first bytes (at least 6 of them where the stream has that many). */
export function detectCompression(head: Uint8Array): Compression | 'bzip2' | 'xz' {
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip';
  if (head[0] === 0x28 && head[1] === 0xb5 && head[2] === 0x2f && head[3] === 0xfd) return 'zstd';
  if (head[0] === 0x42 && head[1] === 0x5a && head[2] === 0x68) return 'bzip2';
  if (head[0] === 0xfd && head[1] === 0x37 && head[2] === 0x7a && head[3] === 0x58 && head[4] === 0x5a) return 'xz';
  return 'none';
}

/** The compression a layer's media type states. */
export function compressionOf(mediaType: string): Compression {
  if (/[+.]gzip$/.test(mediaType)) return 'gzip';
  if (/[+.]zstd$/.test(mediaType)) return 'zstd';
  return 'none';
}

/** Docker's media type of a layer; zstd has none that all clients know, so it gets OCI's. */
export function layerMediaType(compression: Compression): string {
  if (compression === 'gzip') return MEDIA_TYPES.dockerLayerGzip;
  return compression === 'zstd' ? MEDIA_TYPES.ociLayerZstd : MEDIA_TYPES.dockerLayer;
}
