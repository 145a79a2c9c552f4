import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { failedPrecondition } from '@atoll/errors';
import { CgroupTree } from './cgroup-tree.ts';
import { hostAddress } from './free-block.ts';
import { identifyProcess, isAlive, type ProcessIdentity } from './process-identity.ts';
import { runCommand } from './run-command.ts';
import { linkExists, type Underlay } from './underlay.ts';
import { waitUntil } from './wait-until.ts';

export interface NamespaceHostOptions {
  readonly underlay: Underlay;
  /** Also its hostname. */
  readonly name: string;
  /** From 1; decides its address. */
  readonly index: number;
  /** `/atoll/<cluster>/<host>` */
  readonly cgroup: string;
  /** The process that held the namespaces when the host was seen last, to find a living host again. */
  readonly holder?: ProcessIdentity;
}

/**
 * A host made of namespaces (network, mount, UTS) and a cgroup subtree. A process that only sleeps holds the namespaces;
 * when all processes of the host die, so do its cable, its mounts and everything else it had: nothing is left behind.
 */
export class NamespaceHost {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly cgroup: string;
  readonly #underlay: Underlay;
  #holder: ProcessIdentity | undefined;

  constructor(options: NamespaceHostOptions) {
    this.name = options.name;
    this.index = options.index;
    this.cgroup = options.cgroup;
    this.address = hostAddress(options.underlay.block, options.index);
    this.#underlay = options.underlay;
    this.#holder = options.holder;
  }

  get holder(): ProcessIdentity | undefined {
    return this.#holder;
  }

  async isUp(): Promise<boolean> {
    return this.#holder !== undefined && (await isAlive(this.#holder));
  }

  /** Brings the host up with nothing running on it; one that is up already stays as it is. */
  async start(): Promise<void> {
    if (await this.isUp()) return;
    await this.kill();
    await (await this.#group('agent')).create();
    this.#holder = await this.#hold();
    await this.#connect(this.#holder.pid);
  }

  /**
   * Starts a program on the host. Its cgroup is `<host>/agent`; containers get groups beside that one.
   * Errors: failed-precondition when the host is down.
   */
  async spawn(argv: readonly string[], options: SpawnOptions): Promise<ChildProcess> {
    const agents = await this.#group('agent');
    if (!this.#holder || !(await this.isUp())) throw failedPrecondition(`host ${this.name} is down`);
    const child = spawn('nsenter', ['-t', String(this.#holder.pid), '-n', '-u', '-m', '--', ...argv], options);
    if (child.pid) agents.add(child.pid);
    return child;
  }

  /** Pulls the cable: the host runs on, nobody reaches it. */
  async cut(): Promise<void> {
    await runCommand('ip', ['link', 'set', this.#cable, 'down']);
  }

  async heal(): Promise<void> {
    await runCommand('ip', ['link', 'set', this.#cable, 'up']);
  }

  /** The power plug: cable first, then every process at once. `start()` boots it again with its files. */
  async kill(): Promise<void> {
    if (await linkExists(this.#cable)) await this.cut();
    await (await CgroupTree.at(this.cgroup)).kill();
    this.#holder = undefined;
    // The kernel destroys the network namespace, and with it the cable, some time after its last process.
    if (await linkExists(this.#cable)) await runCommand('ip', ['link', 'delete', this.#cable]).catch(() => undefined);
    await waitUntil(async () => !(await linkExists(this.#cable)), {
      what: `interface ${this.#cable} to go away`,
      timeoutMs: 10_000,
    });
  }

  /** Kills the host and removes its cgroups; its files are the owner's business. */
  async remove(): Promise<void> {
    await this.kill();
    const tree = await CgroupTree.at(this.cgroup);
    await waitUntil(
      async () => {
        await tree.remove();
        return !(await tree.exists());
      },
      { what: `cgroup ${this.cgroup} to become empty`, timeoutMs: 5000, intervalMs: 20 },
    );
  }

  get #cable(): string {
    return this.#underlay.names.cable(this.index);
  }

  #group(name: string): Promise<CgroupTree> {
    return CgroupTree.at(`${this.cgroup}/${name}`);
  }

  async #hold(): Promise<ProcessIdentity> {
    const agents = await this.#group('agent');
    const args = ['--net', '--uts', '--mount', '--propagation', 'slave', '--', 'sleep', 'infinity'];
    const child = spawn('unshare', args, { stdio: 'ignore', detached: true, cwd: '/' });
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(
          failedPrecondition(`cannot make namespaces for host ${this.name} (unshare: ${code}): run ./atoll doctor`),
        ),
      );
    });
    failed.catch(() => undefined);
    const pid = child.pid;
    if (!pid) return failed;
    child.unref();
    agents.add(pid);
    // Namespaces and mount propagation are done once unshare has become `sleep`.
    const ready = async () => {
      const program = await readlink(`/proc/${pid}/exe`).catch(() => process.execPath);
      return program !== process.execPath && !program.endsWith('/unshare');
    };
    await Promise.race([failed, waitUntil(ready, { what: `the namespaces of ${this.name}`, timeoutMs: 5000 })]);
    const identity = await identifyProcess(pid);
    return identity ?? failed;
  }

  async #connect(pid: number): Promise<void> {
    const { block, address: gateway, names } = this.#underlay;
    const inside = (program: string[], input?: string) =>
      runCommand('nsenter', ['-t', String(pid), '-n', '-u', '--', ...program], input === undefined ? {} : { input });
    await inside(['hostname', this.name]);
    await runCommand('ip', ['-batch', '-'], {
      input: [
        `link add ${this.#cable} type veth peer name eth0 netns ${pid}`,
        `link set ${this.#cable} master ${names.bridge}`,
        `link set ${this.#cable} up`,
      ].join('\n'),
    });
    const commands = [
      'link set lo up',
      `addr add ${this.address}/${block.prefix} dev eth0`,
      'link set eth0 up',
      `route add default via ${gateway}`,
    ];
    await inside(['ip', '-batch', '-'], commands.join('\n'));
  }
}
