import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { unlessMissing } from '../files/missing.ts';
import { treeSize } from '../files/tree-size.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/;

/** Docker's local volumes: `<root>/<name>/_data`. What a container writes there outlives it. */
export class VolumeStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  /** Folder of a volume. Throws invalid-argument: the name becomes a path. */
  path(name: string): string {
    if (!NAME.test(name)) {
      throw invalidArgument(
        `"${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed`,
      );
    }
    return join(this.#root, name, '_data');
  }

  /** Makes the volume's folder when it is missing. */
  async make(name: string): Promise<string> {
    const path = this.path(name);
    await mkdir(join(this.#root, name), { recursive: true, mode: 0o711 });
    await mkdir(path, { recursive: true, mode: 0o755 });
    return path;
  }

  /** As `make`; `fresh` says that nothing is in it yet. */
  async ensure(name: string): Promise<{ readonly path: string; readonly fresh: boolean }> {
    const path = await this.make(name);
    return { path, fresh: (await readdir(path)).length === 0 };
  }

  /** Bytes on disk of every volume. */
  async sizes(): Promise<ReadonlyMap<string, bigint>> {
    const names = (await unlessMissing(readdir(this.#root))) ?? [];
    return new Map(
      await Promise.all(names.map(async (name) => [name, await treeSize(join(this.#root, name))] as const)),
    );
  }

  /** Does nothing when it is gone. */
  async remove(name: string): Promise<void> {
    this.path(name);
    await rm(join(this.#root, name), { recursive: true, force: true });
  }
}
