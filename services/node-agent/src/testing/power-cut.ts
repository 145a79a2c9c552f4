import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Failpoint } from '../processes/failpoint.ts';
import { buildProbe } from '../runtime/testing/shim-binary.ts';
import { cgroupFolders } from './host-traces.ts';
import { TestHost } from './test-host.ts';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const IMAGE_BYTES = 512 * 2 ** 20;

/** A host whose power can be cut: its data lies on an ext4 of its own, which then forgets what was not synced. */
export class PowerHost {
  readonly host: TestHost;
  readonly #disk: string;
  readonly #bootId: string;
  /** Keeps the file system until the cut, also when the agent is gone by then. */
  #data: FileHandle | undefined;

  private constructor(host: TestHost) {
    this.host = host;
    this.#disk = join(host.folder, 'disk');
    this.#bootId = join(host.folder, 'boot-id');
  }

  static async create(): Promise<PowerHost> {
    const host = await TestHost.create();
    const power = new PowerHost(host);
    await host.killAgent('SIGTERM');
    await rm(host.dataRoot, { recursive: true, force: true });
    await mkdir(host.dataRoot);
    await writeFile(power.#disk, '');
    await truncate(power.#disk, IMAGE_BYTES);
    execFileSync('mkfs.ext4', ['-q', power.#disk]);
    host.privateData = true;
    await power.boot();
    return power;
  }

  /** The disk as the cut left it, and an agent that sees another boot. */
  async boot(failpoint?: Failpoint): Promise<void> {
    await writeFile(this.#bootId, `${randomUUID()}\n`);
    // In a mount namespace of its own: one that another process copies would keep the file system as it is.
    const mounts = [`mount -o loop ${this.#disk} ${this.host.dataRoot}`, `mount --bind ${this.#bootId} ${BOOT_ID}`];
    await this.host.startAgent(failpoint, mounts.join('; '));
    this.#data = await open(this.host.dataView, 'r');
  }

  /** Everything stops at once. What belongs to no disk (links, groups) goes too, as in a reboot. */
  async cut(): Promise<void> {
    const { host } = this;
    execFileSync(buildProbe(), ['shutdown', `/proc/${process.pid}/fd/${this.#data?.fd}`]);
    await host.killAgent();
    for (let left = await this.#processes(); left.length > 0; left = await this.#processes()) {
      for (const pid of left) kill(pid);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const link of execFileSync('ip', ['-n', host.name, '-o', 'link'], { encoding: 'utf8' }).matchAll(
      /: (atv\w+)/g,
    )) {
      execFileSync('sh', ['-c', `ip -n ${host.name} link del ${link[1]} || :`], { stdio: 'ignore' });
    }
    for (const folder of await cgroupFolders(host.name))
      execFileSync('find', [folder, '-mindepth', '1', '-depth', '-type', 'd', '-delete']);
    await this.#data?.close();
    // The last process took the mount along; the kernel lets go of the disk a moment later.
    while (execFileSync('losetup', ['-j', this.#disk], { encoding: 'utf8' }) !== '') {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async dispose(): Promise<void> {
    await this.#data?.close();
    await this.host.dispose();
  }

  /** Shims, the processes of containers, and the helpers of an agent that is gone. */
  async #processes(): Promise<readonly number[]> {
    const found = new Set<number>();
    for (const folder of await cgroupFolders(this.host.name)) {
      // Groups go while they are looked through.
      const files = await readdir(folder, { recursive: true }).catch(() => []);
      for (const file of files.filter((name) => name.endsWith('cgroup.procs'))) {
        const text = await readFile(join(folder, file), 'utf8').catch(() => '');
        for (const pid of text.split('\n').filter(Boolean)) found.add(Number(pid));
      }
    }
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      const about = await Promise.all(
        ['cmdline', 'mountinfo'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
      );
      if (about[0]?.startsWith('atoll-shim') && about[1]?.includes(this.host.folder)) found.add(Number(pid));
    }
    return [...found];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone with another one.
  }
}
