export { type Digest, digestHex, isDigest, parseDigest, sha256Digest, shortDigest } from './digest.ts';
export {
  familiarName,
  familiarString,
  formatReference,
  type ImageReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from './image-reference.ts';
