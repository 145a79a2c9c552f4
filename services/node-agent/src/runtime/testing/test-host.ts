import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachShim } from '../attach-shim.ts';
import { capabilitySets, DOCKER_CAPABILITIES } from '../capabilities.ts';
import { DEFAULT_DEV_LINKS, DEFAULT_DEVICE_RULES, DEFAULT_DEVICES, defaultMounts } from '../default-mounts.ts';
import { execShim } from '../exec-shim.ts';
import { launchShim, type PreparedContainer } from '../launch-shim.ts';
import { maskedPaths, READONLY_PATHS } from '../masked-paths.ts';
import type { ContainerPlan, ExecPlan, ProcessPlan } from '../plan.ts';
import { DEFAULT_LOG_LIMITS } from '../plan.ts';
import type { ProcessSession } from '../process-session.ts';
import { dockerSeccompProgram } from '../seccomp/docker-seccomp.ts';
import { ShimClient } from '../shim-client.ts';
import { runShim } from '../shim-process.ts';
import { ShimSpawner } from '../shim-spawner.ts';
import type { ShimState } from '../shim-state.ts';
import { buildProbe, buildShim, busyboxPath, requireRoot } from './shim-binary.ts';
import { TEST_IDS, type UserNamespaceMode } from './user-namespace-modes.ts';

export interface Finished {
  readonly exit: ShimState;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PlanChanges {
  readonly process?: Partial<ProcessPlan>;
  readonly plan?: Partial<Omit<ContainerPlan, 'process'>>;
}

/** A folder with one busybox layer and the containers a test makes of it; disposing leaves nothing behind. */
export class TestHost implements AsyncDisposable {
  readonly shim: string;
  readonly spawner: ShimSpawner;
  readonly folder: string;
  readonly layer: string;
  /** The folder in every cgroup hierarchy that holds this test's groups. */
  readonly cgroup = `/atoll-test-${randomBytes(6).toString('hex')}`;
  readonly #bundles: string[] = [];
  /** Containers that are never started live as long as these. */
  readonly #launchers: ShimClient[] = [];

  readonly userNamespaces: UserNamespaceMode;

  private constructor(folder: string, shim: string, spawner: ShimSpawner, userNamespaces: UserNamespaceMode) {
    this.userNamespaces = userNamespaces;
    this.folder = folder;
    this.shim = shim;
    this.spawner = spawner;
    this.layer = join(folder, 'layer');
  }

  static async create(userNamespaces: UserNamespaceMode = 'without', parent = tmpdir()): Promise<TestHost> {
    requireRoot();
    const folder = await mkdtemp(join(parent, 'atoll-shim-'));
    const shim = buildShim();
    const host = new TestHost(folder, shim, await ShimSpawner.start(shim, join(folder, 'spawner')), userNamespaces);
    await makeBusyboxRoot(host.layer);
    return host;
  }

  get signal(): AbortSignal {
    return AbortSignal.timeout(20_000);
  }

  async bundle(): Promise<string> {
    const bundle = join(this.folder, `c${this.#bundles.length}`);
    await mkdir(join(bundle, 'upper'), { recursive: true });
    await mkdir(join(bundle, 'work'));
    await chmod(bundle, 0o700);
    this.#bundles.push(bundle);
    return bundle;
  }

  plan(bundle: string, argv: readonly string[], changes: PlanChanges = {}): ContainerPlan {
    const id = randomBytes(8).toString('hex');
    return {
      id,
      namespaces: {
        pid: { mode: 'private' },
        net: { mode: 'private' },
        ipc: { mode: 'private' },
        uts: { mode: 'private' },
        cgroup: { mode: 'private' },
      },
      ...(this.userNamespaces === 'with' && { userNamespace: { mode: { mode: 'private' }, ids: TEST_IDS } }),
      hostname: 'box',
      root: {
        kind: 'overlay',
        lowers: [this.layer],
        upper: join(bundle, 'upper'),
        work: join(bundle, 'work'),
        readonly: false,
      },
      mounts: defaultMounts({ privileged: false, shmBytes: 64 << 20 }),
      devices: DEFAULT_DEVICES,
      devLinks: DEFAULT_DEV_LINKS,
      maskedPaths: maskedPaths(2),
      readonlyPaths: READONLY_PATHS,
      sysctls: {},
      cgroup: { path: `${this.cgroup}/${id}`, limits: { pids: 512 }, deviceRules: DEFAULT_DEVICE_RULES },
      log: { directory: join(bundle, 'log'), ...DEFAULT_LOG_LIMITS },
      ...changes.plan,
      process: testProcess(argv, changes.process),
    };
  }

  async launch(bundle: string, plan: ContainerPlan): Promise<PreparedContainer> {
    const container = await launchShim(this.spawner, { bundle, files: [], plan }, () => {}, this.signal);
    this.#launchers.push(container.client);
    return container;
  }

  /** Prepares, attaches, starts and waits; the streams are collected. */
  async run(argv: readonly string[], changes: PlanChanges = {}, stdin?: string): Promise<Finished> {
    const bundle = await this.bundle();
    await this.launch(bundle, this.plan(bundle, argv, changes));
    using client = await ShimClient.connect(bundle, () => {}, this.signal);
    const session = await attachShim(bundle, { stdin: true, stdout: true, stderr: true }, this.signal);
    const finished = collect(session);
    await client.start(this.signal);
    if (stdin !== undefined) {
      await session.writeStdin(Buffer.from(stdin));
      await session.endStdin();
    }
    const result = await finished;
    await client.closed;
    return result;
  }

  /** Has a container run while the body does; it is killed afterwards. */
  async whileRunning(
    argv: readonly string[],
    changes: PlanChanges,
    body: (container: PreparedContainer, plan: ContainerPlan, bundle: string) => Promise<void>,
  ): Promise<void> {
    const bundle = await this.bundle();
    const plan = this.plan(bundle, argv, changes);
    const container = await this.launch(bundle, plan);
    using client = await ShimClient.connect(bundle, () => {}, this.signal);
    await client.start(this.signal);
    try {
      await body(container, plan, bundle);
    } finally {
      await client.kill(9, 'init', this.signal).catch(() => undefined);
      await client.closed;
    }
  }

  async exec(
    plan: ContainerPlan,
    target: PreparedContainer,
    argv: readonly string[],
    process: Partial<ProcessPlan> = {},
  ): Promise<Finished> {
    const exec: ExecPlan = {
      id: randomBytes(4).toString('hex'),
      process: testProcess(argv, process),
      target: target.init,
      cgroupPath: plan.cgroup.path,
    };
    const { session } = await execShim(this.spawner, exec, this.signal);
    return await collect(session);
  }

  /** Puts a layer of symbolic links (path to target) on top of busybox for the body's runs. */
  async withLayer(links: Record<string, string>, body: (changes: PlanChanges) => Promise<void>): Promise<void> {
    const bundle = await this.bundle();
    const layer = join(bundle, 'links');
    for (const [path, target] of Object.entries(links)) {
      await mkdir(join(layer, path, '..'), { recursive: true });
      await symlink(target, join(layer, path));
    }
    const upper = join(bundle, 'upper');
    const work = join(bundle, 'work');
    await body({ plan: { root: { kind: 'overlay', lowers: [layer, this.layer], upper, work, readonly: false } } });
  }

  /** Cgroups, interfaces and mounts that this test's containers left behind. */
  async leftovers(): Promise<string[]> {
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(this.folder));
    return [
      ...mounts,
      ...this.#cgroups().flatMap((path) =>
        readdirSync(path, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => join(path, entry.name)),
      ),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#launchers) client.close();
    await this.spawner.close();
    for (const bundle of this.#bundles.filter((path) => existsSync(path))) {
      const pid = existsSync(join(bundle, 'shim.pid'))
        ? Number((await readFile(join(bundle, 'shim.pid'), 'utf8')).split(' ')[0])
        : 0;
      if (pid > 0) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {}
        await waitGone(pid);
      }
      await runShim(this.shim, ['cleanup', bundle], this.signal);
    }
    for (const path of this.#cgroups()) execFileSync('rmdir', [path]);
    await rm(this.folder, { recursive: true, force: true });
  }

  #cgroups(): string[] {
    const roots = execFileSync('findmnt', ['-rn', '-t', 'cgroup,cgroup2', '-o', 'TARGET'], { encoding: 'utf8' })
      .trim()
      .split('\n');
    return roots.map((root) => join(root, this.cgroup)).filter((path) => existsSync(path));
  }
}

export function testProcess(argv: readonly string[], changes: Partial<ProcessPlan> = {}): ProcessPlan {
  const capabilities = DOCKER_CAPABILITIES;
  return {
    argv,
    env: ['PATH=/bin:/sbin'],
    cwd: '/',
    user: { kind: 'docker', user: '' },
    stdin: 'once',
    rlimits: [],
    capabilities: capabilitySets(capabilities),
    noNewPrivileges: false,
    seccomp: dockerSeccompProgram(new Set(capabilities)),
    ...changes,
  };
}

export async function collect(session: ProcessSession): Promise<Finished> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { stream, data } of session.output()) chunks[stream].push(data);
  const exit = await session.exit;
  session.close();
  return { exit, stdout: Buffer.concat(chunks.stdout).toString(), stderr: Buffer.concat(chunks.stderr).toString() };
}

async function makeBusyboxRoot(root: string): Promise<void> {
  for (const name of ['bin', 'etc', 'tmp', 'home/ann']) await mkdir(join(root, name), { recursive: true });
  await copyFile(busyboxPath(), join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  await copyFile(buildProbe(), join(root, 'bin/probe'));
  const applets = execFileSync(busyboxPath(), ['--list'], { encoding: 'utf8' }).trim().split('\n');
  await Promise.all(
    applets.filter((name) => name !== 'busybox').map((name) => symlink('busybox', join(root, 'bin', name))),
  );
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n1000:x:0:0:trap:/:/bin/sh\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nwheel:x:10:root\nann:x:1001:\naudio:x:29:ann\nvideo:x:44:ann\n');
}

export async function waitGone(pid: number): Promise<void> {
  for (let attempt = 0; attempt < 1000 && existsSync(`/proc/${pid}`); attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
