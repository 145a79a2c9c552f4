import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AtollError, deadlineExceeded, internal } from '@atoll/errors';
import { CgroupTree, claimFreeBlock, formatBlock, gatewayAddress, linkExists, parseBlock } from '@atoll/hosts';
import { issueDockerCertificates } from '../identity/docker-certificates.ts';
import { ensureAuthority, issueServiceCertificates } from '../identity/service-certificates.ts';
import type { Step } from '../progress/step.ts';
import { removeLeftovers } from '../supervisor/remove-leftovers.ts';
import { choosePorts } from './choose-ports.ts';
import { type ClusterPaths, DEFAULT_NAME } from './cluster-paths.ts';
import {
  type ClusterSettings,
  loadSettings,
  type SchedulerStrategy,
  type SELinuxUse,
  type SocketMounts,
} from './cluster-settings.ts';
import { type ClusterState, readState } from './cluster-state.ts';
import { newClusterId, saveSettings } from './save-settings.ts';
import { parseTcpEndpoint } from './tcp-endpoint.ts';

/** What a person asked for; what is not given stays as it was last time. */
export interface StartOptions {
  readonly hosts?: number;
  readonly tcp?: string;
  readonly registryMirrors?: Readonly<Record<string, string>>;
  readonly strategy?: SchedulerStrategy;
  readonly runtimes?: Readonly<Record<string, string>>;
  readonly usernsRemap?: string;
  readonly selinux?: SELinuxUse;
  readonly socketMounts?: SocketMounts;
  readonly advertise?: string;
}

/** What people know a registry by; only the default cluster of a machine asks for it. */
const REGISTRY_PORT = 5000;
const START_LIMIT_MS = 600_000;
const SUPERVISOR_FLAGS = [
  '--max-semi-space-size=1',
  '--max-old-space-size=64',
  '--disable-warning=ExperimentalWarning',
];

/**
 * Starts a cluster and waits until all of it is ready; `progress` is told about each step.
 * An abort of `signal` leaves what was started to the caller's clean-up.
 * Errors: what made the start fail, in the words of the part that failed; everything started is ended then.
 */
export async function startCluster(
  paths: ClusterPaths,
  options: StartOptions,
  progress: (steps: readonly Step[]) => void,
  signal: AbortSignal,
): Promise<ClusterState> {
  const settings = await prepare(paths, options);
  const supervisor = await launchSupervisor(paths, signal);
  return awaitReady(paths, supervisor, progress, settings, signal);
}

/** Files that have to be there before any process starts: settings, ports, addresses, CA and certificates. */
async function prepare(paths: ClusterPaths, options: StartOptions): Promise<ClusterSettings> {
  const known = await loadSettings(paths);
  const stale = await readState(paths);
  const bridged = await linkExists(paths.names().bridge);
  if (bridged && !stale) await removeLeftovers(paths, { keepHosts: false });
  await mkdir(paths.runDir, { recursive: true, mode: 0o755 });
  await mkdir(paths.logDir, { recursive: true, mode: 0o700 });
  // Hosts of a cluster whose supervisor was killed may still be up, with their addresses.
  const block = bridged && stale ? parseBlock(stale.block) : await claimBlock(paths, known?.block);
  const advertise = options.advertise ?? known?.advertise;
  const tcp = options.tcp ?? known?.tcp;
  const usernsRemap = options.usernsRemap ?? known?.usernsRemap;
  const selinux = options.selinux ?? known?.selinux;
  const socketMounts = options.socketMounts ?? known?.socketMounts;
  const settings: ClusterSettings = {
    clusterId: known?.clusterId ?? newClusterId(),
    hosts: options.hosts ?? known?.hosts ?? 1,
    registryMirrors: options.registryMirrors ?? known?.registryMirrors ?? {},
    strategy: options.strategy ?? known?.strategy ?? 'spread',
    runtimes: options.runtimes ?? known?.runtimes ?? {},
    block: formatBlock(block),
    ports: await choosePorts(known?.ports ?? {}, {
      told: advertise !== undefined && known?.advertise !== undefined,
      usual: paths.name === DEFAULT_NAME ? { 'registry-http': REGISTRY_PORT } : {},
    }),
    ...(advertise !== undefined && { advertise }),
    ...(tcp !== undefined && { tcp }),
    ...(usernsRemap !== undefined && { usernsRemap }),
    ...(selinux !== undefined && { selinux }),
    ...(socketMounts !== undefined && { socketMounts }),
  };
  await saveSettings(paths, settings);
  const authority = await ensureAuthority(paths, settings.clusterId);
  const addresses = ['127.0.0.1', gatewayAddress(block), ...(advertise ? [advertise] : [])];
  await issueServiceCertificates(paths, authority, addresses);
  const endpoint = settings.tcp === undefined ? undefined : parseTcpEndpoint(settings.tcp);
  if (endpoint && !endpoint.loopback) await issueDockerCertificates(paths, settings.clusterId, endpoint.host);
  return settings;
}

function claimBlock(paths: ClusterPaths, preferred: string | undefined) {
  const owner = `${paths.name} ${paths.dataRoot}`;
  return claimFreeBlock({ claims: paths.blockClaims, owner, ...(preferred !== undefined && { preferred }) });
}

interface LaunchedSupervisor {
  readonly pid: number;
  readonly log: string;
  ended(): boolean;
}

async function launchSupervisor(paths: ClusterPaths, signal: AbortSignal): Promise<LaunchedSupervisor> {
  const program = join(import.meta.dirname, '../supervisor/supervisor-main.js');
  const log = join(paths.logDir, 'supervisor.log');
  const group = await CgroupTree.at(`${paths.cgroup}/supervisor`);
  await group.create();
  // The last moment: one who was interrupted has begun to clean up.
  signal.throwIfAborted();
  const fd = openSync(log, 'w', 0o600);
  try {
    const child = spawn(process.execPath, [...SUPERVISOR_FLAGS, program, paths.name, paths.dataRoot], {
      stdio: ['ignore', fd, fd],
      detached: true,
      cwd: '/',
    });
    if (!child.pid) throw internal('the supervisor could not be started');
    group.add(child.pid);
    child.unref();
    return { pid: child.pid, log, ended: () => child.exitCode !== null || child.signalCode !== null };
  } finally {
    closeSync(fd);
  }
}

async function awaitReady(
  paths: ClusterPaths,
  supervisor: LaunchedSupervisor,
  progress: (steps: readonly Step[]) => void,
  settings: ClusterSettings,
  signal: AbortSignal,
): Promise<ClusterState> {
  const end = performance.now() + START_LIMIT_MS + settings.hosts * 2000;
  while (performance.now() < end) {
    signal.throwIfAborted();
    const state = await readState(paths);
    const ours = state?.supervisor.pid === supervisor.pid ? state : undefined;
    if (ours) progress(ours.steps.filter((step) => !step.id.startsWith('stop ')));
    if (ours?.phase === 'ready') return ours;
    if (supervisor.ended()) {
      await removeLeftovers(paths, { keepHosts: false });
      throw new AtollError('failed-precondition', ours?.failure ?? `the supervisor ended early, see ${supervisor.log}`);
    }
    await sleep(40);
  }
  await removeLeftovers(paths, { keepHosts: false });
  throw deadlineExceeded(`the cluster was not ready in ${START_LIMIT_MS / 1000} s, see ${supervisor.log}`);
}
