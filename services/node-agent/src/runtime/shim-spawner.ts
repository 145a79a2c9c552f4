import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { internal, unavailable } from '@atoll/errors';
import { FrameSession } from './frame-session.ts';
import { FRAME } from './frames.ts';
import { spawnShim } from './shim-child.ts';
import { parseFailureLine, shimError } from './shim-failure.ts';

const SOCKET = 'spawner.sock';
const READY_MS = 10_000;

/**
 * The small process that forks this agent's shims, one for each connection: to fork the agent itself would copy the page tables of
 * 100 MB, and every new program would have to seal itself again. It ends with the agent, its shims do not; when it is killed the
 * next call starts another one.
 */
export class ShimSpawner {
  readonly #shim: string;
  readonly #path: string;
  /** Kept open: the path of a unix socket may be no longer than 107 bytes. */
  readonly #folder: FileHandle;
  #ready: Promise<ChildProcess> | undefined;

  private constructor(shim: string, path: string, folder: FileHandle) {
    this.#shim = shim;
    this.#path = path;
    this.#folder = folder;
  }

  /** `path`: a folder for its socket, made with mode 0700 when it is missing. */
  static async start(shim: string, path: string): Promise<ShimSpawner> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const spawner = new ShimSpawner(shim, path, await open(path, 'r'));
    try {
      await spawner.#running();
      return spawner;
    } catch (error) {
      await spawner.close();
      throw error;
    }
  }

  /** A connection to a shim of its own, which waits for its first frame. */
  async connect(signal: AbortSignal): Promise<Socket> {
    signal.throwIfAborted();
    await this.#running();
    const socket = createConnection({ path: `/proc/self/fd/${this.#folder.fd}/${SOCKET}` });
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw unavailable('the process that starts shims does not answer; try again', { cause: error });
    }
  }

  /** See `TreeRemover`. */
  async removeTree(path: string, signal: AbortSignal, limited = ''): Promise<void> {
    const socket = await this.connect(signal);
    const abort = (): void => void socket.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      const session = new FrameSession(socket);
      await session.send(FRAME.remove, Buffer.from(`${dirname(path)}\0${basename(path)}\0${limited}`));
      await session.expectReply(FRAME.remove, `remove ${path}`);
    } finally {
      signal.removeEventListener('abort', abort);
      socket.destroy();
    }
  }

  /** Its shims go on. */
  async close(): Promise<void> {
    const ready = this.#ready;
    this.#ready = Promise.reject(unavailable('the agent is stopping'));
    this.#ready.catch(() => undefined);
    const child = await ready?.catch(() => undefined);
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
    }
    await this.#folder.close();
  }

  #running(): Promise<ChildProcess> {
    this.#ready ??= this.#spawn().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #spawn(): Promise<ChildProcess> {
    // Its standard input is its life line: it ends when this process does, however that happens.
    const child = spawnShim(this.#shim, ['spawner', this.#path], ['pipe', 'pipe', 'ignore'], true);
    child.stdin?.on('error', () => undefined);
    child.once('exit', () => {
      this.#ready = undefined;
    });
    const line = await firstOutput(child);
    if (line === 'ready\n') return child;
    child.kill('SIGKILL');
    const failure = parseFailureLine(line);
    throw failure
      ? shimError(failure, 'start shims')
      : internal(`the shim spawner did not start: ${line.slice(0, 200)}`);
  }
}

async function firstOutput(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (!stdout) throw internal('the shim spawner was started without streams');
  const deadline = AbortSignal.timeout(READY_MS);
  const failed = once(child, 'error', { signal: deadline }).then(([error]) => {
    throw internal(`cannot run the shim: ${(error as Error).message}`, { cause: error });
  });
  const spoke = once(stdout, 'data', { signal: deadline }).then(([bytes]) => String(bytes));
  const ended = once(stdout, 'end', { signal: deadline }).then(() => '');
  for (const outcome of [failed, spoke, ended]) outcome.catch(() => undefined);
  return await Promise.race([failed, spoke, ended]);
}
