import { once } from 'node:events';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { unlessMissing } from '../files/missing.ts';
import type { TreeRemover } from '../files/tree-remover.ts';
import { Semaphore } from '../processes/semaphore.ts';
import type { BundleFile } from '../runtime/launch-shim.ts';

const ID = /^[0-9a-f]{64}$/;
const DOOMED = '.removing-';
const WORK = 'work';
const PARALLEL_REMOVALS = 4;
/** A million files are gone within a minute. */
const REMOVAL_MS = 600_000;

/** What is on disk of one container. */
export interface StoredContainer {
  readonly id: string;
  /** Undefined when the bytes do not survive: the container's files are kept until somebody says what it is. */
  readonly record: containerV1.ContainerRecord | undefined;
  readonly status: containerV1.ContainerStatus | undefined;
}

/**
 * `<root>/<id>/{record,status}` and what the shim keeps there; the folder is the shim's bundle. Records and statuses are not
 * synced to disk: after a power cut the scheduler sends the record again, and how a run ended nobody saw anyway.
 */
export class ContainerFiles {
  readonly #root: string;
  readonly #trees: TreeRemover;
  readonly #logger: Logger;
  readonly #slots = new Semaphore(PARALLEL_REMOVALS);
  readonly #removals = new Set<Promise<void>>();

  private constructor(root: string, trees: TreeRemover, logger: Logger) {
    this.#root = root;
    this.#trees = trees;
    this.#logger = logger;
  }

  static async open(root: string, trees: TreeRemover, logger: Logger): Promise<ContainerFiles> {
    await mkdir(root, { recursive: true, mode: 0o711 });
    const files = new ContainerFiles(root, trees, logger);
    const doomed = (await readdir(root)).filter((name) => name.startsWith(DOOMED));
    for (const name of doomed) files.#removeTree(name);
    return files;
  }

  /** Throws invalid-argument: the id becomes a path. */
  directory(id: string): string {
    if (!ID.test(id)) throw invalidArgument(`"${id}" is not the id of a container`);
    return join(this.#root, id);
  }

  logs(id: string): string {
    return join(this.directory(id), 'logs');
  }

  upper(id: string): string {
    return join(this.directory(id), 'upper');
  }

  work(id: string): string {
    return join(this.directory(id), WORK);
  }

  async create(record: containerV1.ContainerRecord): Promise<void> {
    await mkdir(this.directory(record.id), { recursive: true, mode: 0o700 });
    await Promise.all([
      mkdir(this.logs(record.id), { recursive: true, mode: 0o700 }),
      mkdir(this.upper(record.id), { recursive: true, mode: 0o755 }),
      mkdir(this.work(record.id), { recursive: true, mode: 0o700 }),
      this.saveRecord(record),
    ]);
  }

  /** The record as a file of its bundle: there before anything runs, so that a next agent knows whose it is. */
  recordFile(record: containerV1.ContainerRecord): BundleFile {
    return { name: 'record', mode: 0o600, bytes: containerV1.ContainerRecord.encode(record).finish() };
  }

  /** Does nothing when the container has no folder yet: its launch brings the record along. */
  async saveRecord(record: containerV1.ContainerRecord): Promise<void> {
    const { name, bytes } = this.recordFile(record);
    await unlessMissing(writeFileAtomic(join(this.directory(record.id), name), bytes, { durable: false }));
  }

  saveStatus(status: containerV1.ContainerStatus): Promise<void> {
    const bytes = containerV1.ContainerStatus.encode(status).finish();
    return writeFileAtomic(join(this.directory(status.id), 'status'), bytes, { durable: false });
  }

  async list(): Promise<readonly StoredContainer[]> {
    const ids = (await readdir(this.#root)).filter((name) => ID.test(name));
    return await Promise.all(
      ids.map(async (id) => ({
        id,
        record: await this.#read(id, 'record', containerV1.ContainerRecord.decode),
        status: await this.#read(id, 'status', containerV1.ContainerStatus.decode),
      })),
    );
  }

  /**
   * Does nothing when it is gone. Resolves when nobody can find it any more; its bytes are freed in the background, after a crash
   * by the next start.
   */
  async remove(id: string): Promise<void> {
    const name = `${DOOMED}${id}`;
    const found = await unlessMissing(rename(this.directory(id), join(this.#root, name)).then(() => true));
    if (found) this.#removeTree(name);
  }

  /** Resolves when the bytes of all that was removed are free, or with the signal. */
  async settled(signal: AbortSignal): Promise<void> {
    const ended = Promise.all(this.#removals);
    await Promise.race([ended, once(signal, 'abort')]);
  }

  #removeTree(name: string): void {
    const removal = this.#slots
      .run(() => this.#trees.removeTree(join(this.#root, name), AbortSignal.timeout(REMOVAL_MS), WORK))
      .catch((error: unknown) => {
        this.#logger.warn({ folder: name, err: error }, 'a removed container takes space until the next start');
      })
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  async #read<T extends { readonly id: string }>(
    id: string,
    file: string,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T | undefined> {
    const bytes = await unlessMissing(readFile(join(this.directory(id), file)));
    if (!bytes) return undefined;
    try {
      const value = decode(bytes);
      return value.id === id ? value : undefined;
    } catch {
      return undefined; // half a file after a power cut
    }
  }
}
