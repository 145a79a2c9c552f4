import type { Descriptor } from '@atoll/oci';
import type { Digest, ImageReference } from '@atoll/reference';

/** Credentials for another registry, as docker sends them. */
export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  /** An OAuth refresh token, instead of a password. */
  readonly identityToken: string;
  /** A bearer token to use as it is. */
  readonly registryToken: string;
}

export interface RemoteManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** Errors of all methods: not-found, unauthenticated, permission-denied, unavailable, invalid-argument (it answers nonsense). */
export interface RemoteSource {
  /** By tag or digest; the digest of the bytes is checked. */
  manifest(reference: string): Promise<RemoteManifest>;
  /** The blob from `offset` on; a source that cannot skip says 0. */
  blob(digest: Digest, offset: number): Promise<{ readonly offset: number; readonly bytes: AsyncIterable<Uint8Array> }>;
  tags(): Promise<string[]>;
}

export type BytesFrom = (offset: number) => Promise<AsyncIterable<Uint8Array>>;

export interface RemoteTarget {
  hasBlob(digest: Digest): Promise<boolean>;
  /** Lets the repository use a blob of another one on the same registry. Answers whether that worked. */
  mount(digest: Digest, from: string): Promise<boolean>;
  /** Uploads a blob; goes on where a broken transfer stopped. */
  upload(blob: Descriptor, read: BytesFrom): Promise<void>;
  putManifest(reference: string, manifest: RemoteManifest): Promise<void>;
}

/** Opens repositories of other registries. */
export interface RemoteRegistries {
  /** `access` push asks for a token that may also write. */
  open(
    reference: ImageReference,
    access: 'pull' | 'push',
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<RemoteSource & RemoteTarget>;
}
