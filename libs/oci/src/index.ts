export { chainIds } from './chain-id.ts';
export { type Compression, compressionOf, detectCompression, layerMediaType } from './compression.ts';
export type { Descriptor, Platform } from './descriptor.ts';
export { type ImageConfig, type ImageHistory, type ImageRunConfig, parseImageConfig } from './image-config.ts';
export {
  type ImageIndex,
  type ImageManifest,
  type Manifest,
  parseManifest,
  referencesOf,
  serializeManifest,
} from './manifest.ts';
export {
  isImageConfigType,
  isIndexType,
  isManifestType,
  MANIFEST_MEDIA_TYPES,
  MEDIA_TYPES,
} from './media-types.ts';
export { normalizePlatform, parsePlatform, platformScore, platformString, selectManifest } from './platform.ts';
export { DOCUMENT_LIMITS, type JsonLimits, parseStrictJson } from './strict-json.ts';
