import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { conflict, hasReason, invalidArgument } from '@atoll/errors';
import type { VolumeTools } from '../runtime/volume-tools.ts';
import type { VolumeStore } from './volume-store.ts';

const OPERATION = /^[0-9a-f]{32}$/;

/**
 * Copies of volumes on their way, a folder for each operation. What is in one is nobody's volume: it goes when its operation ends,
 * when another scheduler leads, or when the agent starts.
 */
export class VolumeCopies {
  readonly #root: string;
  readonly #volumes: VolumeStore;
  readonly #tools: VolumeTools;
  #parts = 0;

  private constructor(root: string, volumes: VolumeStore, tools: VolumeTools) {
    this.#root = root;
    this.#volumes = volumes;
    this.#tools = tools;
  }

  static async open(root: string, volumes: VolumeStore, tools: VolumeTools): Promise<VolumeCopies> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const copies = new VolumeCopies(root, volumes, tools);
    await copies.clear();
    return copies;
  }

  /** Takes away what all operations have. */
  async clear(): Promise<void> {
    for (const name of await readdir(this.#root)) await rm(join(this.#root, name), { recursive: true, force: true });
  }

  /** An empty folder of the operation. */
  async fresh(operation: string, part: 'whole'): Promise<string> {
    const folder = this.of(operation, part);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }

  /** A path of the operation. Throws invalid-argument: the operation becomes a part of it. */
  of(operation: string, part: 'whole' | `kept-${number}` | `notes-${number}`): string {
    if (!OPERATION.test(operation))
      throw invalidArgument(`operation ${JSON.stringify(operation)} is not 32 hex digits`);
    return join(this.#root, operation, part);
  }

  /** A place for what was kept of a volume that is now put in place. */
  freshKept(operation: string): string {
    return this.of(operation, `kept-${this.#parts++}`);
  }

  /** A place for notes of whoever pulls a volume. */
  async freshNotes(operation: string): Promise<string> {
    const path = this.of(operation, `notes-${this.#parts++}`);
    await mkdir(join(this.#root, operation), { recursive: true, mode: 0o700 });
    return path;
  }

  /** Makes the whole copy the volume, in one step. Errors: conflict when files are there that are not to give way. */
  async place(operation: string, volume: string, replace: boolean, signal: AbortSignal): Promise<void> {
    const place = this.#volumes.path(volume);
    await mkdir(join(place, '..'), { recursive: true, mode: 0o711 });
    try {
      await this.#tools.place(join(this.of(operation, 'whole'), 'data'), place, replace, signal);
    } catch (error) {
      if (!hasReason(error, 'conflict')) throw error;
      throw conflict(
        `volume ${volume} cannot be put in place: ${(error as Error).message}; look into ${place} on this host`,
        { cause: error },
      );
    }
  }

  /** Takes away a folder of the operation. */
  async remove(operation: string, part: 'whole'): Promise<void> {
    await rm(this.of(operation, part), { recursive: true, force: true });
  }

  async end(operation: string): Promise<void> {
    await rm(join(this.of(operation, 'whole'), '..'), { recursive: true, force: true });
  }
}
