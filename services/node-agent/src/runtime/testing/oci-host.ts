import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRunc } from './find-runc.ts';
import { buildOci, buildProbe, busyboxPath, requireRoot } from './shim-binary.ts';

export interface OciConfig {
  ociVersion: string;
  process: Record<string, unknown> & { args: string[] };
  root: Record<string, unknown>;
  hostname?: string;
  mounts: Record<string, unknown>[];
  linux: Record<string, unknown> & { namespaces: { type: string; path?: string }[] };
  [other: string]: unknown;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bundles with busybox for an OCI runtime, with a root and cgroups of the test's own. Disposing deletes all containers. */
export class OciHost implements AsyncDisposable {
  readonly cgroup = `/atoll-oci-${randomBytes(6).toString('hex')}`;
  readonly runtime: string;
  readonly folder: string;
  readonly #ids: string[] = [];

  private constructor(runtime: string, folder: string) {
    this.runtime = runtime;
    this.folder = folder;
  }

  static async create(name: 'runc' | 'atoll-oci'): Promise<OciHost> {
    requireRoot();
    return new OciHost(name === 'runc' ? findRunc() : buildOci(), await mkdtemp(join(tmpdir(), 'atoll-oci-')));
  }

  get root(): string {
    return join(this.folder, 'state');
  }

  newId(): string {
    const id = `c${this.#ids.length}-${randomBytes(3).toString('hex')}`;
    this.#ids.push(id);
    return id;
  }

  /** A folder with a root of busybox and the config that runc's own `spec` gives, as the change makes it. */
  async bundle(args: readonly string[], change: (config: OciConfig) => void = () => undefined): Promise<string> {
    const path = await mkdtemp(join(this.folder, 'bundle-'));
    await makeRoot(join(path, 'rootfs'));
    execFileSync(findRunc(), ['spec'], { cwd: path });
    const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as OciConfig;
    config.process['terminal'] = false;
    config.process.args = [...args];
    config.root['readonly'] = false;
    config.linux['cgroupsPath'] = `${this.cgroup}/${randomBytes(4).toString('hex')}`;
    change(config);
    await writeFile(join(path, 'config.json'), JSON.stringify(config));
    return path;
  }

  /** One command. A container it leaves running has none of the test's streams, or the test would wait for it. */
  run(args: readonly string[], options: { readonly detached?: boolean; readonly input?: string } = {}): Outcome {
    const result = spawnSync(this.runtime, ['--root', this.root, ...args], {
      stdio: options.detached ? 'ignore' : ['pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout: 30_000,
      ...(options.input === undefined ? {} : { input: options.input }),
    });
    return { code: result.status, stdout: result.stdout ?? '', stderr: result.stderr ?? '' };
  }

  /** `run` to its end, in a bundle of its own. */
  async outcome(args: readonly string[], change?: (config: OciConfig) => void): Promise<Outcome> {
    const bundle = await this.bundle(args, change);
    return this.run(['run', '--bundle', bundle, this.newId()]);
  }

  /** `create`, its streams in a file: what it makes goes on after the command. */
  async created(bundle: string, id: string, more: readonly string[] = []): Promise<Outcome> {
    const log = join(bundle, 'output');
    const script = `exec "$0" "$@" >>${log} 2>&1 </dev/null`;
    const command = [
      this.runtime,
      '--root',
      this.root,
      '--log',
      join(bundle, 'log'),
      'create',
      '--bundle',
      bundle,
      ...more,
      id,
    ];
    const child = spawn('sh', ['-c', script, ...command], { stdio: 'ignore' });
    const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
    const text = (path: string) => readFile(path, 'utf8').catch(() => '');
    return { code, stdout: await text(log), stderr: await text(join(bundle, 'log')) };
  }

  state(id: string): { status: string; pid: number; bundle: string } | undefined {
    const { code, stdout } = this.run(['state', id]);
    return code === 0 ? (JSON.parse(stdout) as { status: string; pid: number; bundle: string }) : undefined;
  }

  deleteAll(): void {
    for (const id of this.#ids.splice(0)) this.run(['delete', '--force', id]);
  }

  /** What is left in the root and in cgroups once all containers are deleted. */
  leftovers(): readonly string[] {
    const roots = execFileSync('findmnt', ['-rn', '-t', 'cgroup,cgroup2', '-o', 'TARGET'], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const groups = roots.map((root) => join(root, this.cgroup)).filter((path) => existsSync(path));
    return groups.flatMap((path) =>
      execFileSync('find', [path, '-mindepth', '1', '-type', 'd'], { encoding: 'utf8' }).split('\n').filter(Boolean),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.deleteAll();
    const roots = execFileSync('findmnt', ['-rn', '-t', 'cgroup,cgroup2', '-o', 'TARGET'], { encoding: 'utf8' })
      .trim()
      .split('\n');
    for (const path of roots.map((root) => join(root, this.cgroup)))
      if (existsSync(path)) execFileSync('rmdir', [path]);
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function makeRoot(root: string): Promise<void> {
  for (const name of ['bin', 'etc', 'tmp']) await mkdir(join(root, name), { recursive: true });
  await copyFile(busyboxPath(), join(root, 'bin/busybox'));
  await copyFile(buildProbe(), join(root, 'bin/probe'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  for (const applet of [
    'sh',
    'cat',
    'echo',
    'sleep',
    'id',
    'grep',
    'ls',
    'stat',
    'mkdir',
    'touch',
    'true',
    'hostname',
    'kill',
    'mount',
    'tr',
    'head',
    'wc',
  ]) {
    await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(join(root, 'etc/noexec'), 'not a program\n', { mode: 0o644 });
}
