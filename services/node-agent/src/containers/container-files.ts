import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { unlessMissing } from '../files/missing.ts';

const ID = /^[0-9a-f]{64}$/;
const DOOMED = '.removing-';

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

  private constructor(root: string) {
    this.#root = root;
  }

  static async open(root: string): Promise<ContainerFiles> {
    await mkdir(root, { recursive: true, mode: 0o711 });
    for (const name of await readdir(root)) {
      if (name.startsWith(DOOMED)) await rm(join(root, name), { recursive: true, force: true });
    }
    return new ContainerFiles(root);
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
    return join(this.directory(id), 'work');
  }

  async create(record: containerV1.ContainerRecord): Promise<void> {
    const directory = this.directory(record.id);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await Promise.all([
      mkdir(this.logs(record.id), { recursive: true, mode: 0o700 }),
      mkdir(this.upper(record.id), { recursive: true, mode: 0o755 }),
      mkdir(this.work(record.id), { recursive: true, mode: 0o700 }),
      this.saveRecord(record),
    ]);
  }

  saveRecord(record: containerV1.ContainerRecord): Promise<void> {
    const bytes = containerV1.ContainerRecord.encode(record).finish();
    return writeFileAtomic(join(this.directory(record.id), 'record'), bytes, { durable: false });
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

  /** Does nothing when it is gone. A removal that is cut off is finished at the next start. */
  async remove(id: string): Promise<void> {
    const doomed = join(this.#root, `${DOOMED}${id}`);
    const found = await unlessMissing(rename(this.directory(id), doomed).then(() => true));
    if (found) await rm(doomed, { recursive: true, force: true });
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
