import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded, failedPrecondition, internal } from '@atoll/errors';
import { writeFileAtomic } from '../../files/atomic-file.ts';
import { runTool } from '../../processes/run-tool.ts';
import { startTicksOf } from '../../processes/start-ticks.ts';

interface Running {
  readonly pid: number;
  readonly startTicks: string;
}

const FILE = 'process';
const READY_MS = 10_000;
const END_MS = 2_000;
const POLL_MS = 20;
const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', LOG_LEVEL: 'silent' };
/**
 * Its control socket lies in a /run of its own: nothing is left of it however it ends, and agents of one machine do not meet there. Mounts of
 * volumes are not kept by its mount namespace when the agent has let them go; blanks are \040 in mountinfo(5).
 */
const IN_OWN_RUN = `
  mount -t tmpfs -o mode=700 tmpfs /var/run || exit 1
  while read -r _ _ _ _ point _; do
    case $(printf %b "$point") in "$2"/*) umount -l "$(printf %b "$point")" 2>/dev/null ;; esac
  done </proc/self/mountinfo
  exec wireguard-go -f "$1"`;

/**
 * The process wireguard-go of this host. It outlives the agent, so that traffic goes on; the next agent knows it by process id and
 * start time. The device is there as long as the process.
 */
export class UserspaceDevice {
  readonly #name: string;
  readonly #folder: string;
  #running: Running | undefined;

  /** @param folder below the data root */
  constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  /** Finds the process of an earlier agent. */
  async isRunning(): Promise<boolean> {
    this.#running ??= await this.#recall();
    const { pid, startTicks } = this.#running ?? { pid: 0, startTicks: '' };
    if (pid !== 0 && (await startTicksOf(pid)) === startTicks) return true;
    this.#running = undefined;
    return false;
  }

  /** Resolves when the device is there and takes settings. Errors: failed-precondition when the process ends, deadline-exceeded. */
  async start(): Promise<void> {
    const args = [
      '--mount',
      '--propagation',
      'slave',
      '--',
      'sh',
      '-c',
      IN_OWN_RUN,
      'sh',
      this.#name,
      dirname(this.#folder),
    ];
    const child = spawn('unshare', args, { env: ENV, stdio: 'ignore', cwd: '/', detached: true });
    let ended: string | undefined;
    child.once('error', (error) => {
      ended = error.message;
    });
    child.once('exit', (code, signal) => {
      ended = `it ended with ${signal ?? `code ${code}`}`;
    });
    child.unref();
    const startTicks = child.pid === undefined ? undefined : await startTicksOf(child.pid);
    if (child.pid !== undefined && startTicks !== undefined) {
      this.#running = { pid: child.pid, startTicks };
      await writeFileAtomic(this.#file, JSON.stringify(this.#running), { durable: false });
    }
    const deadline = performance.now() + READY_MS;
    while (!(await this.#answers())) {
      if (ended !== undefined) throw failedPrecondition(`wireguard-go cannot be started: ${ended}`);
      if (performance.now() > deadline) {
        await this.stop();
        throw deadlineExceeded(`wireguard-go did not make its device within ${READY_MS} ms`);
      }
      await sleep(POLL_MS);
    }
  }

  /** Runs wg(8) where it reaches the process. */
  async configure(args: readonly string[]): Promise<string> {
    if (!this.#running) throw internal('wireguard-go does not run');
    return await runTool('nsenter', [`--mount=/proc/${this.#running.pid}/ns/mnt`, '--', 'wg', ...args]);
  }

  /** Safe to repeat, and when nothing runs. Errors: deadline-exceeded when the process does not end. */
  async stop(): Promise<void> {
    const started = performance.now();
    while (await this.isRunning()) {
      const waited = performance.now() - started;
      if (waited > 2 * END_MS) throw deadlineExceeded(`wireguard-go did not end within ${2 * END_MS} ms`);
      if (this.#running) kill(this.#running.pid, waited > END_MS ? 'SIGKILL' : 'SIGTERM');
      await sleep(POLL_MS);
    }
    await rm(this.#file, { force: true });
  }

  get #file(): string {
    return join(this.#folder, FILE);
  }

  async #answers(): Promise<boolean> {
    return this.#running !== undefined && (await this.configure(['show', this.#name, 'listen-port']).then(() => true, () => false)); // biome-ignore format: short
  }

  async #recall(): Promise<Running | undefined> {
    try {
      const { pid, startTicks } = JSON.parse(await readFile(this.#file, 'utf8')) as Partial<Running>;
      const isWhole = Number.isInteger(pid) && Number(pid) > 1 && typeof startTicks === 'string';
      return isWhole ? { pid: Number(pid), startTicks } : undefined;
    } catch {
      // None, or half of one after a power cut, which ended the process too.
      return undefined;
    }
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
