import { pipeline } from 'node:stream/promises';
import {
  type Digest,
  digestHex,
  familiarName,
  type ImageReference,
  parseReference,
  repositoryOf,
} from '@atoll/reference';
import { type Pack, pack } from 'tar-stream';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { ImageEvents } from '../images/image-events.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { ImageView } from '../images/image-view.ts';
import { resolveImage } from '../images/resolve-image.ts';
import type { Documents } from '../manifests/documents.ts';
import type { Names } from '../records/names.ts';

export interface SaveOptions {
  readonly images: ImageStore;
  readonly blobs: BlobStore;
  readonly documents: Documents;
  readonly names: Names;
  readonly events: ImageEvents;
}

interface Saved {
  readonly image: ImageView;
  readonly tags: ImageReference[];
}

/**
 * `docker save`: an OCI image layout with Docker's manifest.json and repositories beside it, so that every docker, podman
 * and skopeo reads it. Layers are written as they are stored, so that a load gives the same digests.
 * Errors: not-found before the first byte.
 */
export async function saveArchive(
  references: readonly string[],
  options: SaveOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const saved = new Map<Digest, Saved>();
  for (const text of references) await select(text, saved, options);
  const archive = pack();
  write(archive, [...saved.values()], options).then(
    () => {
      archive.finalize();
      for (const id of saved.keys()) options.events.publish({ action: 'save', actor: id, attributes: { name: id } });
    },
    (error: Error) => archive.destroy(error),
  );
  return archive as unknown as AsyncIterable<Uint8Array>;
}

/** A name without a tag means all tags of its repository, as with docker. */
async function select(text: string, saved: Map<Digest, Saved>, { images, names }: SaveOptions): Promise<void> {
  const add = (image: ImageView, tag?: ImageReference): void => {
    const entry = saved.get(image.id) ?? { image, tags: [] };
    if (
      tag !== undefined &&
      !entry.tags.some((known) => known.tag === tag.tag && repositoryOf(known) === repositoryOf(tag))
    ) {
      entry.tags.push(tag);
    }
    saved.set(image.id, entry);
  };
  const plain = /^[0-9a-f:]+$/.test(text) ? undefined : parseReference(text);
  if (plain !== undefined && plain.tag === undefined && plain.digest === undefined) {
    const tags = [...names.repository(repositoryOf(plain)).tags].filter(([, record]) => record.image !== undefined);
    for (const [tag, record] of tags) add(await images.get(record.image as Digest), { ...plain, tag });
    if (tags.length > 0) return;
  }
  const { image, name } = await resolveImage(images, names, text);
  add(image, name?.tag === undefined ? undefined : { ...name, digest: undefined });
}

async function write(archive: Pack, saved: readonly Saved[], { blobs, documents }: SaveOptions): Promise<void> {
  const written = new Set<Digest>();
  const file = async (name: string, content: Uint8Array): Promise<void> => {
    const entry = archive.entry({ name, size: content.byteLength, mode: 0o644, mtime: new Date(0) });
    await pipeline([content], entry as unknown as NodeJS.WritableStream);
  };
  for (const { image } of saved) {
    for (const digest of [...image.layers.map((layer) => layer.digest), image.id, image.record.manifest]) {
      if (written.has(digest)) continue;
      written.add(digest);
      const { size, stream } = await blobs.open(digest);
      const entry = archive.entry({ name: pathOf(digest), size, mode: 0o644, mtime: new Date(0) });
      await pipeline(stream, entry as unknown as NodeJS.WritableStream);
    }
  }
  const json = (value: unknown): Uint8Array => Buffer.from(`${JSON.stringify(value)}\n`);
  await file('index.json', json(await layoutIndex(saved, documents)));
  await file('manifest.json', json(saved.map(dockerEntry)));
  await file('oci-layout', json({ imageLayoutVersion: '1.0.0' }));
  const repositories = legacyNames(saved);
  if (Object.keys(repositories).length > 0) await file('repositories', json(repositories));
}

function pathOf(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

async function layoutIndex(saved: readonly Saved[], documents: Documents) {
  const manifests: object[] = [];
  for (const { image, tags } of saved) {
    const { manifest: digest, mediaType } = image.record;
    const { os, architecture, variant } = image.config;
    const size = (await documents.bytes(digest)).byteLength;
    const base = { mediaType, digest, size, platform: { os, architecture, variant } };
    for (const tag of tags.length > 0 ? tags : [undefined]) {
      manifests.push(tag === undefined ? base : { ...base, annotations: annotations(tag) });
    }
  }
  return { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
}

function annotations(tag: ImageReference) {
  return {
    'io.containerd.image.name': `${repositoryOf(tag)}:${tag.tag}`,
    'org.opencontainers.image.ref.name': tag.tag,
  };
}

function dockerEntry({ image, tags }: Saved) {
  return {
    Config: pathOf(image.id),
    RepoTags: tags.length === 0 ? null : tags.map((tag) => `${familiarName(tag)}:${tag.tag}`),
    Layers: image.layers.map((layer) => pathOf(layer.digest)),
  };
}

/** Repository to tag to top layer: what readers of the first format look at. */
function legacyNames(saved: readonly Saved[]): Record<string, Record<string, string>> {
  const repositories: Record<string, Record<string, string>> = {};
  for (const { image, tags } of saved) {
    const top = image.layers.at(-1);
    if (top === undefined) continue;
    for (const tag of tags) {
      const name = familiarName(tag);
      repositories[name] = { ...repositories[name], [tag.tag ?? 'latest']: digestHex(top.digest) };
    }
  }
  return repositories;
}
