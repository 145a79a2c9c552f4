import { setTimeout as sleep } from 'node:timers/promises';
import { AtollError, conflict, notFound } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { unlessMissing } from '../files/missing.ts';
import { treeSize } from '../files/tree-size.ts';
import { decompressed } from '../images/decompress.ts';
import { startTicksOf } from '../processes/start-ticks.ts';
import { firstProcess } from '../runtime/first-process.ts';
import type { RootSpec } from '../runtime/shim-tools.ts';
import { rewriteTar } from './rewrite-tar.ts';
import type { RootReader, RootWriter, UpperReader } from './root-filesystem.ts';

/** Longer than a supervisor takes to take a container down. */
const ENDING_MS = 10_000;
const ENDING_POLL_MS = 20;

export interface PutOptions {
  readonly noOverwriteDirNonDir: boolean;
  readonly copyUidGid: boolean;
}

/** Files of a container for `docker cp`, `diff` and sizes, whether it runs or not. */
export class ContainerArchive {
  readonly #filesystem: RootReader & RootWriter & UpperReader;

  constructor(filesystem: RootReader & RootWriter & UpperReader) {
    this.#filesystem = filesystem;
  }

  async stat(container: Container, path: string, signal: AbortSignal): Promise<runtimeV1.PathStat> {
    const root = await rootOf(container);
    return await this.#filesystem.stat(root, path, signal).catch(missingPath(container, path));
  }

  async *read(container: Container, path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    yield* this.#filesystem.read(await rootOf(container), path, signal);
  }

  /** As `read`, but nothing that is mounted in the container: its layers and what it wrote, by plain names (`bin/sh`). */
  async *readOwn(container: Container, path: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    yield* rewriteTar(this.#filesystem.read(ownRoot(container), path, signal), { plainNames: true });
  }

  /** Throws permission-denied for a container with a read-only root. */
  async write(
    container: Container,
    path: string,
    archive: AsyncIterable<Uint8Array>,
    options: PutOptions,
    signal: AbortSignal,
  ): Promise<void> {
    const security = container.record.spec?.security;
    if (security?.readOnlyRootfs) throw conflict('container rootfs is marked read-only');
    const root = await rootOf(container);
    // Docker: as the archive says, or all the container's user's.
    const user = options.copyUidGid ? (container.record.spec?.process?.user ?? '') : '';
    const owner = user === '' ? undefined : await this.#filesystem.user(root, user, signal);
    const write = { keepKinds: options.noOverwriteDirNonDir, owner };
    await this.#filesystem.write(root, path, decompressed(archive), write, signal).catch(missingPath(container, path));
  }

  changes(container: Container, signal: AbortSignal): Promise<readonly runtimeV1.Change[]> {
    return this.#filesystem.changes(container.upperDirectory, container.lowers, signal);
  }

  async usage(container: Container): Promise<{ readonly sizeRw: bigint; readonly logBytes: bigint }> {
    const [sizeRw, logBytes] = await Promise.all([
      treeSize(container.upperDirectory),
      treeSize(container.logDirectory),
    ]);
    return { sizeRw, logBytes };
  }
}

/** Throws conflict while the layers are not here yet. */
function ownRoot({ record, lowers, upperDirectory }: Container): RootSpec {
  const layers = record.spec?.image?.layers ?? [];
  if (lowers.length <= layers.length) {
    throw conflict(`container ${record.id} is still being prepared: its image is not on its host yet; try again`);
  }
  return { kind: 'overlay', lowers: [upperDirectory, ...lowers] };
}

/** Docker's words for a path that is not there, in place of the shim's. */
function missingPath(container: Container, path: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof AtollError) || error.reason !== 'not-found' || error.details['step'] !== 'find path')
      throw error;
    throw notFound(`Could not find the file ${path} in container ${container.record.id}`, { cause: error });
  };
}

/**
 * A container is seen through its first process, which has its mounts, as soon as it is prepared; one without a process as it
 * would be: its layers and what it mounts.
 */
async function rootOf(container: Container): Promise<RootSpec> {
  const path = container.bundle;
  const deadline = performance.now() + ENDING_MS;
  for (;;) {
    if (!(await container.hasProcess())) return { kind: 'bundle', path };
    const process = await unlessMissing(firstProcess(path));
    // Another runtime makes its first process at the start only.
    if (!process) return { kind: 'prepared', path };
    const lives = (await startTicksOf(process.pid)) === String(process.startTicks);
    if (lives || performance.now() > deadline) return { kind: 'process', process };
    // It has just ended; what it had is being taken down.
    await sleep(ENDING_POLL_MS);
  }
}
