import type { Digest } from '@atoll/reference';
import { ImageReferences } from './image-references.ts';
import { formatKey, parseKey, type RecordKey } from './record-key.ts';
import { type Decision, RecordMirror } from './record-mirror.ts';
import type { RecordStore } from './record-store.ts';
import {
  type BlobRecord,
  decodeRecord,
  encodeRecord,
  type ImageRecord,
  type ManifestRecord,
  RECORD_SCHEMAS,
  type TagRecord,
} from './records.ts';

/** What one repository holds. */
export interface Repository {
  readonly tags: ReadonlyMap<string, TagRecord>;
  readonly manifests: ReadonlyMap<Digest, ManifestRecord>;
  /** Grows with each change of the repository. */
  readonly version: number;
}

interface MutableRepository {
  readonly tags: Map<string, TagRecord>;
  readonly manifests: Map<Digest, ManifestRecord>;
  blobs: number;
  version: number;
}

const EMPTY: Repository = { tags: new Map(), manifests: new Map(), version: 0 };

/**
 * Who is called what: tags, the manifests and blobs of each repository, the images of the store. Reads come from memory;
 * a write is durable when it resolves.
 */
export class Names {
  readonly #mirror: RecordMirror;
  readonly #store: RecordStore;
  readonly #repositories = new Map<string, MutableRepository>();
  readonly references = new ImageReferences();
  readonly #images = new Map<Digest, ImageRecord>();
  #versions = 0;
  readonly #onDamage: (error: unknown) => void;

  constructor(store: RecordStore, onDamage: (error: unknown) => void = () => undefined) {
    this.#store = store;
    this.#mirror = new RecordMirror(store);
    this.#onDamage = onDamage;
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#mirror.start((key, value, isNew) => this.#index(key, value, isNew), signal);
  }

  get images(): ReadonlyMap<Digest, ImageRecord> {
    return this.#images;
  }

  /** Names of all repositories with a tag or a manifest, in no order. */
  *repositories(): IterableIterator<string> {
    for (const [name, repository] of this.#repositories) {
      if (repository.tags.size > 0 || repository.manifests.size > 0) yield name;
    }
  }

  repository(name: string): Repository {
    return this.#repositories.get(name) ?? EMPTY;
  }

  /** Whether anything at all was ever put into the repository, uploaded blobs included. */
  knows(name: string): boolean {
    return this.#repositories.has(name);
  }

  async tag(repository: string, tag: string): Promise<TagRecord | undefined> {
    const known = this.#repositories.get(repository)?.tags.get(tag);
    return known ?? (await this.#find({ kind: 'tag', repository, tag }, RECORD_SCHEMAS.tag));
  }

  async image(id: Digest): Promise<ImageRecord | undefined> {
    return this.#images.get(id) ?? (await this.#find({ kind: 'image', id }, RECORD_SCHEMAS.image));
  }

  manifest(repository: string, digest: Digest): Promise<ManifestRecord | undefined> {
    return this.#find({ kind: 'manifest', repository, digest }, RECORD_SCHEMAS.manifest);
  }

  blob(repository: string, digest: Digest): Promise<BlobRecord | undefined> {
    return this.#find({ kind: 'blob', repository, digest }, RECORD_SCHEMAS.blob);
  }

  async linkBlob(repository: string, digest: Digest, record: BlobRecord): Promise<void> {
    await this.#putOnce({ kind: 'blob', repository, digest }, record);
  }

  async linkManifest(repository: string, digest: Digest, record: ManifestRecord): Promise<void> {
    await this.#putOnce({ kind: 'manifest', repository, digest }, record);
  }

  async putImage(id: Digest, record: ImageRecord): Promise<void> {
    await this.#mirror.change(formatKey({ kind: 'image', id }), (current) => {
      if (current === undefined) return { put: encodeRecord(record) };
      const known = decodeRecord(RECORD_SCHEMAS.image, id, current);
      if (known.parent !== undefined || record.parent === undefined) return 'keep';
      return { put: encodeRecord({ ...known, parent: record.parent }) };
    });
  }

  /** Points the tag to something else; answers what it pointed to before. */
  async putTag(repository: string, tag: string, record: TagRecord): Promise<TagRecord | undefined> {
    let before: TagRecord | undefined;
    await this.#mirror.change(formatKey({ kind: 'tag', repository, tag }), (current): Decision => {
      before = current === undefined ? undefined : decodeRecord(RECORD_SCHEMAS.tag, tag, current);
      return before?.digest === record.digest && before.image === record.image ? 'keep' : { put: encodeRecord(record) };
    });
    return before;
  }

  /** Removes one name; with `digest` only while the tag still means that. Answers whether it was there. */
  remove(key: RecordKey, digest?: Digest): Promise<boolean> {
    return this.#mirror.change(formatKey(key), (current) => {
      if (current === undefined) return 'keep';
      if (digest === undefined || key.kind !== 'tag') return 'delete';
      return decodeRecord(RECORD_SCHEMAS.tag, key.tag, current).digest === digest ? 'delete' : 'keep';
    });
  }

  /** The id of the store of blobs these names belong to; `fresh`, if given, becomes it when there is none. */
  async storeId(fresh: string | undefined): Promise<string | undefined> {
    const key = formatKey({ kind: 'store' });
    await this.#mirror.change(key, (current) =>
      current === undefined && fresh !== undefined ? { put: encodeRecord({ id: fresh }) } : 'keep',
    );
    const record = await this.#mirror.find(key);
    return record === undefined ? undefined : decodeRecord(RECORD_SCHEMAS.store, key, record.value).id;
  }

  /** False when the store has more keys than were ever reported here: then absence means nothing. */
  async complete(): Promise<boolean> {
    return (await this.#store.count()) <= this.#mirror.known;
  }

  /** Every blob link, for those who remove links to blobs that are gone. */
  *blobLinks(): IterableIterator<{ repository: string; digest: Digest }> {
    for (const text of this.#mirror.keys()) {
      const key = parseKey(text);
      if (key?.kind === 'blob') yield key;
    }
  }

  compact(ageMs: number): Promise<void> {
    return this.#mirror.compact(ageMs);
  }

  async #find<T>(key: RecordKey, schema: Parameters<typeof decodeRecord<T>>[0]): Promise<T | undefined> {
    const text = formatKey(key);
    const record = await this.#mirror.find(text);
    return record === undefined ? undefined : decodeRecord(schema, text, record.value);
  }

  async #putOnce(key: RecordKey, record: object): Promise<void> {
    await this.#mirror.change(formatKey(key), (current) =>
      current === undefined ? { put: encodeRecord(record) } : 'keep',
    );
  }

  #index(text: string, value: Uint8Array | undefined, isNew: boolean): void {
    const key = parseKey(text);
    if (key === undefined || key.kind === 'store') return;
    try {
      this.#indexOne(key, text, value, isNew);
    } catch (error) {
      this.#onDamage(error);
    }
  }

  #indexOne(
    key: Exclude<RecordKey, { kind: 'store' }>,
    text: string,
    value: Uint8Array | undefined,
    isNew: boolean,
  ): void {
    if (key.kind === 'image') {
      // Before the value is read: one that is damaged must not leave an older one in its place.
      this.#images.delete(key.id);
      if (value !== undefined) this.#images.set(key.id, decodeRecord(RECORD_SCHEMAS.image, text, value));
      return;
    }
    const repository = this.#repositories.get(key.repository) ?? emptyRepository();
    this.#versions += 1;
    repository.version = this.#versions;
    if (key.kind === 'blob') repository.blobs += value === undefined ? -1 : Number(isNew);
    else if (key.kind === 'tag') this.#indexTag(repository, key, text, value);
    else this.#indexManifest(repository, key, text, value);
    const empty = repository.tags.size + repository.manifests.size + repository.blobs === 0;
    if (empty) this.#repositories.delete(key.repository);
    else this.#repositories.set(key.repository, repository);
  }

  #indexTag(
    into: MutableRepository,
    key: RecordKey & { kind: 'tag' },
    text: string,
    value: Uint8Array | undefined,
  ): void {
    into.tags.delete(key.tag);
    this.references.deleteTag(key.repository, key.tag);
    if (value === undefined) return;
    const record = decodeRecord(RECORD_SCHEMAS.tag, text, value);
    into.tags.set(key.tag, record);
    this.references.set({ ...key, manifest: record.digest }, record.image);
  }

  #indexManifest(
    into: MutableRepository,
    key: RecordKey & { kind: 'manifest' },
    text: string,
    value: Uint8Array | undefined,
  ): void {
    if (value === undefined) {
      into.manifests.delete(key.digest);
      this.references.deleteDigest(key.repository, key.digest);
      return;
    }
    const record = decodeRecord(RECORD_SCHEMAS.manifest, text, value);
    into.manifests.set(key.digest, record);
    this.references.set({ kind: 'digest', repository: key.repository, manifest: key.digest }, record.image);
  }
}

function emptyRepository(): MutableRepository {
  return { tags: new Map(), manifests: new Map(), blobs: 0, version: 0 };
}
