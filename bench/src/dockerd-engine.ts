import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine } from './engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const PACKAGES = [
  'docker.io',
  'containerd',
  'runc',
  'iptables',
  'libip4tc2',
  'libip6tc2',
  'libmnl0',
  'libxtables12',
  'libnftnl11',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
];

export interface DockerdEngine extends Engine {
  /** Of a process in its network namespace. */
  readonly pid: number;
}

/** Debian's dockerd, unpacked into the tools folder (nothing is installed), in namespaces of its own. */
export async function startDockerd(): Promise<DockerdEngine> {
  const packages = unpack();
  const work = mkdtempSync(join(tmpdir(), 'atoll-bench-dockerd-'));
  const group = `atoll-bench-dockerd-${process.pid}`;
  const logFile = join(work, 'dockerd.log');
  const log = openSync(logFile, 'a');
  const child = spawn(
    'unshare',
    ['--mount', '--net', '--propagation', 'private', join(ROOT, 'bench/dockerd.sh'), packages, work, group],
    {
      stdio: ['ignore', 'ignore', log],
    },
  );
  const abandon = (): boolean => child.kill('SIGKILL');
  process.once('exit', abandon); // an interrupted run leaves no daemon behind
  const dockerHost = `unix://${work}/docker.sock`;
  const deadline = performance.now() + 60_000;
  while (!answers(dockerHost)) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`dockerd does not start:\n${readFileSync(logFile, 'utf8')}`);
    await sleep(200);
  }
  return {
    name: 'dockerd',
    pid: child.pid ?? 0,
    dockerHost,
    cpu: () => Number(readFileSync(`/sys/fs/cgroup/cpuacct/${group}/cpuacct.usage`, 'utf8')),
    stop: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      removeGroups(group);
      rmSync(work, { recursive: true, force: true });
    },
  };
}

function unpack(): string {
  const target = join(ROOT, '.tools/dockerd');
  if (existsSync(join(target, 'usr/sbin/dockerd'))) return target;
  const downloads = mkdtempSync(join(tmpdir(), 'atoll-bench-debs-'));
  try {
    execFileSync('apt-get', ['-q', 'download', ...PACKAGES], {
      cwd: downloads,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    mkdirSync(target, { recursive: true });
    for (const file of readdirSync(downloads)) execFileSync('dpkg', ['-x', join(downloads, file), target]);
    // What an installation would choose as Debian's alternative.
    for (const name of ['iptables', 'ip6tables']) symlinkSync('xtables-nft-multi', join(target, 'usr/sbin', name));
    return target;
  } finally {
    rmSync(downloads, { recursive: true, force: true });
  }
}

function answers(dockerHost: string): boolean {
  try {
    execFileSync('docker', ['version'], {
      env: { ...process.env, DOCKER_HOST: dockerHost },
      stdio: 'ignore',
      timeout: 10_000,
    });
    return true;
  } catch {
    return false;
  }
}

function removeGroups(group: string): void {
  for (const controller of readdirSync('/sys/fs/cgroup')) {
    const path = join('/sys/fs/cgroup', controller, group);
    if (existsSync(path)) removeEmpty(path);
  }
}

function removeEmpty(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeEmpty(join(path, entry.name));
  if (readFileSync(join(path, 'cgroup.procs'), 'utf8') === '') rmdirSync(path);
}
