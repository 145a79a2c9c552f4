import { readFile } from 'node:fs/promises';
import { isBindSource, type VolumeSource } from '@atoll/docker-api';
import { failedPrecondition } from '@atoll/errors';
import { runTool } from '../processes/run-tool.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import { bindSource } from './bind-source.ts';

const MOUNT_MS = 60_000;

/** File systems mounted for volumes: one mount a volume, from its first container to its last, as docker does it. */
export class VolumeMounts {
  readonly #dataRoot: string;
  readonly #users = new Map<string, Set<string>>();
  readonly #queues = new Map<string, SerialQueue>();

  constructor(dataRoot: string) {
    this.#dataRoot = dataRoot;
  }

  /** Afterwards the source is mounted on the folder. Errors: permission-denied, failed-precondition with mount's words. */
  acquire(folder: string, source: VolumeSource, container: string): Promise<void> {
    return this.#turn(folder, async () => {
      // The mount of an agent before this one may still be there.
      if (!(await isMountPoint(folder))) await this.#mount(folder, source);
      this.claim(folder, container);
    });
  }

  /** Notes who has had it since before the agent started. */
  claim(folder: string, container: string): void {
    const users = this.#users.get(folder) ?? new Set();
    users.add(container);
    this.#users.set(folder, users);
  }

  /** Unmounts what only this container had. */
  async release(container: string): Promise<void> {
    const folders = [...this.#users].filter(([, users]) => users.has(container)).map(([folder]) => folder);
    for (const folder of folders) {
      await this.#turn(folder, async () => {
        const users = this.#users.get(folder);
        users?.delete(container);
        if (users && users.size > 0) return;
        this.#users.delete(folder);
        await this.unmount(folder);
      });
    }
  }

  /** Nothing is mounted there afterwards. */
  async unmount(folder: string): Promise<void> {
    if (await isMountPoint(folder)) await runTool('umount', ['-l', '--', folder], { timeoutMs: MOUNT_MS });
  }

  /** One after the other for each folder: a server that does not answer holds up nothing else. */
  #turn(folder: string, task: () => Promise<void>): Promise<void> {
    const queue = this.#queues.get(folder) ?? new SerialQueue();
    this.#queues.set(folder, queue);
    return queue.run(task);
  }

  async #mount(folder: string, source: VolumeSource): Promise<void> {
    const device = isBindSource(source)
      ? await bindSource(source.device, this.#dataRoot, { make: false })
      : source.device;
    const options =
      isBindSource(source) && !source.options.includes('rbind') ? ['bind', ...source.options] : source.options;
    // -i: no helper of the file system's own, which would run with rights of ours and its own idea of the options.
    const args = [
      '-i',
      '-t',
      source.type,
      ...(options.length > 0 ? ['-o', options.join(',')] : []),
      '--',
      device,
      folder,
    ];
    try {
      await runTool('mount', args, { timeoutMs: MOUNT_MS });
    } catch (cause) {
      throw failedPrecondition(`failed to mount local volume: ${(cause as Error).message}`, { cause });
    }
  }
}

async function isMountPoint(folder: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  // Octal escapes stand for the few characters a path may not have there (proc(5)).
  const escaped = folder.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
  return table.split('\n').some((line) => line.split(' ')[4] === escaped);
}
