import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1, nodeV1, runtimeV1 } from '@atoll/proto';
import { AsyncQueue, Channel, type TlsIdentity } from '@atoll/rpc';
import { compileCache, type TestPki, testPki } from '@atoll/testing';
import type { Failpoint } from '../processes/failpoint.ts';
import { findRunc } from '../runtime/testing/find-runc.ts';
import { buildOci, buildShim, requireRoot } from '../runtime/testing/shim-binary.ts';
import { TEST_IDS, type UserNamespaceMode } from '../runtime/testing/user-namespace-modes.ts';
import { cgroupFolders, childFolders, shimsOf } from './host-traces.ts';
import { busyboxLayer } from './test-image.ts';
import { makeNamespace } from './test-namespace.ts';
import { TestRegistry } from './test-registry.ts';
import { TestScheduler } from './test-scheduler.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');

/** The native runtime by its own protocol and by its OCI command line, and Debian's runc. */
export type TestRuntime = 'native' | 'atoll-oci' | 'runc';

let suiteRuntime: TestRuntime = 'native';

/** The hosts of the suites that are read in from here on have containers of this runtime. */
export function useRuntime(name: TestRuntime): void {
  suiteRuntime = name;
}

function runtimeOf(name: TestRuntime): string {
  return name === 'runc' ? findRunc() : buildOci();
}

export interface TestHostOptions {
  /**
   * What carries out the containers of `record` when they do not say otherwise. With user namespaces, which the native one makes, its
   * containers are in some of their own unless they ask for the host's.
   */
  readonly runtime?: TestRuntime;
  readonly userNamespaces?: UserNamespaceMode;
  readonly nodeId?: string;
  /** A folder to put its own one in. */
  readonly parent?: string;
  /** Gives the namespace a link to other hosts; what it gives is the address the agent tells them. */
  readonly attach?: (namespace: string) => string;
}

export interface FinishedExec {
  readonly output: string;
  readonly code: number | undefined;
  readonly execId: string;
}

/**
 * A host of its own for an agent process: network namespace with a link to this one, data root, cgroup subtree; and the services
 * it talks to. Disposing removes all of it and fails when a container left something behind.
 */
export class TestHost {
  readonly name: string;
  readonly nodeId: string;
  /** Where other hosts send packets of networks to. */
  readonly overlayIp: string;
  /** Of the next agent. */
  userNamespaces: UserNamespaceMode;
  readonly scheduler: TestScheduler;
  readonly registry: TestRegistry;
  readonly folder: string;
  readonly hostIp: string;
  readonly pki: TestPki;
  readonly layer: containerV1.Layer;
  readonly #gateway: TlsIdentity;
  readonly #schedulerAddress: string;
  readonly #registryAddress: string;
  #channel: Channel | undefined;
  #runtime: TestRuntime = 'native';
  agent: ChildProcess | undefined;
  /** The shim of agents that are started from now on. */
  shim = buildShim();
  /** More settings of agents that are started from now on. */
  environment: Readonly<Record<string, string>> = {};
  /** Whether the agent's data lies on a mount that it alone has. */
  privateData = false;
  output = '';

  private constructor(parts: {
    folder: string;
    hostIp: string;
    pki: TestPki;
    gateway: TlsIdentity;
    scheduler: TestScheduler;
    registry: TestRegistry;
    layer: containerV1.Layer;
    schedulerAddress: string;
    registryAddress: string;
    name: string;
    userNamespaces: UserNamespaceMode;
    nodeId: string;
    overlayIp: string;
  }) {
    this.name = parts.name;
    this.nodeId = parts.nodeId;
    this.overlayIp = parts.overlayIp;
    this.userNamespaces = parts.userNamespaces;
    this.folder = parts.folder;
    this.hostIp = parts.hostIp;
    this.pki = parts.pki;
    this.#gateway = parts.gateway;
    this.scheduler = parts.scheduler;
    this.registry = parts.registry;
    this.layer = parts.layer;
    this.#schedulerAddress = parts.schedulerAddress;
    this.#registryAddress = parts.registryAddress;
  }

  static async create({
    userNamespaces = 'without',
    runtime = userNamespaces === 'with' ? 'native' : suiteRuntime,
    nodeId = 'node-1',
    parent = tmpdir(),
    attach,
  }: TestHostOptions = {}): Promise<TestHost> {
    requireRoot();
    buildShim();
    const name = `atoll-test-${randomBytes(4).toString('hex')}`;
    const { outer, inner } = makeNamespace(name);
    const overlayIp = attach?.(name) ?? inner;
    const folder = await mkdtemp(join(parent, 'atoll-agent-'));
    const pki = await testPki();
    const [gateway, schedulerId, registryId, node] = await Promise.all([
      pki.identity('gateway', 'gateway-1'),
      pki.identity('scheduler', 'scheduler-1'),
      pki.identity('registry', 'registry-1'),
      pki.identity('node', nodeId),
    ]);
    await mkdir(join(folder, 'tls'));
    await writeFile(join(folder, 'tls/ca.pem'), node.ca);
    await writeFile(join(folder, 'tls/cert.pem'), node.cert);
    await writeFile(join(folder, 'tls/key.pem'), node.key, { mode: 0o600 });
    const scheduler = new TestScheduler(schedulerId, `${outer}:0`, nodeId);
    const registry = new TestRegistry(registryId, `${outer}:0`);
    const [{ address: schedulerAddress }, { address: registryAddress }] = await Promise.all([
      scheduler.start(),
      registry.start(),
    ]);
    const layer = await busyboxLayer(registry);
    const parts = {
      folder,
      hostIp: inner,
      pki,
      gateway,
      scheduler,
      registry,
      layer,
      schedulerAddress,
      registryAddress,
      name,
      userNamespaces,
      nodeId,
      overlayIp,
    };
    const host = new TestHost(parts);
    host.#runtime = runtime;
    try {
      await host.startAgent();
    } catch (error) {
      await host.#close([]);
      throw error;
    }
    return host;
  }

  get dataRoot(): string {
    return join(this.folder, 'data');
  }

  /** This side's address on the link to it. */
  get outerIp(): string {
    return this.#schedulerAddress.slice(0, this.#schedulerAddress.lastIndexOf(':'));
  }

  /** Its data root as this process reaches it. */
  get dataView(): string {
    return this.privateData ? `/proc/${this.agent?.pid}/root${this.dataRoot}` : this.dataRoot;
  }

  get runtime() {
    return this.channel.client(runtimeV1.RuntimeServiceService);
  }

  get channel(): Channel {
    this.#channel ??= new Channel({ address: `${this.hostIp}:7474`, tls: this.#gateway, serverRole: 'node' });
    return this.#channel;
  }

  channelOf(identity: TlsIdentity): Channel {
    return new Channel({ address: `${this.hostIp}:7474`, tls: identity, serverRole: 'node' });
  }

  /** Runs the agent in the namespace and waits for its session. It is killed at the failpoint. `mounts`: commands of a shell that make mounts for it alone. */
  async startAgent(failpoint?: Failpoint, mounts?: string): Promise<void> {
    this.scheduler.drop();
    const env = {
      PATH: process.env['PATH'],
      ATOLL_SCHEDULERS: this.#schedulerAddress,
      ATOLL_REGISTRY: this.#registryAddress,
      ATOLL_LISTEN: `${this.hostIp}:7474`,
      ATOLL_ADVERTISE: `${this.hostIp}:7474`,
      ATOLL_DATA_ROOT: this.dataRoot,
      ATOLL_TLS_DIR: join(this.folder, 'tls'),
      ATOLL_CGROUP_PARENT: `/${this.name}`,
      ATOLL_SHIM: this.shim,
      ATOLL_HOST_IP: this.overlayIp,
      ATOLL_LOG_LEVEL: 'debug',
      ...compileCache(),
      ...(this.#runtime !== 'native' && { ATOLL_RUNTIMES: `${this.#runtime}=${runtimeOf(this.#runtime)}` }),
      ATOLL_USERNS_REMAP: this.userNamespaces === 'with' ? `${TEST_IDS.uid}:${TEST_IDS.size}` : '',
      ...this.environment,
      ...(failpoint && { ATOLL_FAILPOINT: failpoint }),
    };
    const node = [process.execPath, '--conditions=source', MAIN];
    const mounting = ['unshare', '--mount', 'sh', '-c', `set -e; ${mounts}; exec "$@"`, 'sh'];
    const command = mounts === undefined ? node : [...mounting, ...node];
    const child = spawn('nsenter', [`--net=/run/netns/${this.name}`, ...command], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.agent = child;
    const keep = (piece: Buffer): void => {
      this.output = (this.output + piece.toString()).slice(-100_000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const died = once(child, 'exit').then(() => {
      throw new Error(`the agent ended:\n${this.output}`);
    });
    died.catch(() => undefined);
    await Promise.race([this.scheduler.session(), died]);
  }

  /** Resolves when the agent has been killed at its failpoint. */
  async crashed(signal: AbortSignal): Promise<void> {
    const child = this.agent;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, 'exit', { signal });
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** As a crash does it: no chance to tidy up. */
  async killAgent(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.agent;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
    this.#channel?.close();
    this.#channel = undefined;
  }

  record(
    argv: readonly string[],
    spec: Parameters<typeof containerV1.ContainerSpec.fromPartial>[0] = {},
  ): containerV1.ContainerRecord {
    const process = { cmd: [...argv], env: ['PATH=/bin'], ...spec.process };
    return containerV1.ContainerRecord.fromPartial({
      id: randomBytes(32).toString('hex'),
      nodeId: this.nodeId,
      desired: containerV1.DesiredState.CREATED,
      generation: 1n,
      ...(spec.network?.ports ? { ports: [...spec.network.ports] } : {}),
      spec: {
        name: 'test',
        image: { reference: 'busybox', layers: [this.layer] },
        network: { mode: 'none' },
        runtime: this.#runtime,
        ...spec,
        process,
      },
    });
  }

  ensure(record: containerV1.ContainerRecord): Promise<containerV1.ContainerStatus> {
    return this.scheduler.order({ action: nodeV1.Action.ENSURE, record });
  }

  start(record: containerV1.ContainerRecord): Promise<containerV1.ContainerStatus> {
    const running = { ...record, desired: containerV1.DesiredState.RUNNING, generation: record.generation + 1n };
    return this.scheduler.order({ action: nodeV1.Action.START, record: running });
  }

  remove(record: containerV1.ContainerRecord, more: { volumes?: boolean } = {}): Promise<containerV1.ContainerStatus> {
    return this.scheduler.order({ action: nodeV1.Action.REMOVE, record, force: true, ...more });
  }

  /** Runs to the end and gives exit status and output; the container stays. */
  async run(record: containerV1.ContainerRecord): Promise<{ status: containerV1.ContainerStatus; output: string }> {
    await this.ensure(record);
    await this.start(record);
    const status = await this.scheduler.status(
      ({ id, state, finishedAtNs }) =>
        id === record.id && state === containerV1.ContainerState.EXITED && finishedAtNs !== 0n,
    );
    return { status, output: await this.logs(record.id) };
  }

  async logs(id: string, more: Partial<runtimeV1.LogsRequest> = {}): Promise<string> {
    const request = { containerId: id, stdout: true, stderr: true, tail: -1n, ...more };
    let text = '';
    for await (const { data } of this.runtime.logs(runtimeV1.LogsRequest.fromPartial(request))) text += data.toString();
    return text;
  }

  /** Runs a program in a running container to its end. */
  async exec(id: string, spec: Partial<runtimeV1.ExecSpec>, stdin?: string): Promise<FinishedExec> {
    const full = runtimeV1.ExecSpec.fromPartial({ attachStdout: true, attachStderr: true, ...spec });
    const { execId } = await this.runtime.createExec({ containerId: id, spec: full });
    const input = new AsyncQueue<runtimeV1.StartExecRequest>(4);
    input.push({ message: { $case: 'start', value: { execId, detach: false, tty: full.tty, console: undefined } } });
    if (stdin !== undefined) {
      input.push({ message: { $case: 'stdin', value: Buffer.from(stdin) } });
      input.push({ message: { $case: 'stdinEof', value: true } });
    }
    let output = '';
    let code: number | undefined;
    for await (const { message } of this.runtime.startExec(input)) {
      if (message?.$case === 'output') output += message.value.data.toString();
      if (message?.$case === 'exit') code = message.value.exitCode;
    }
    input.end();
    return { output, code, execId };
  }

  /** What the agent has written down of a container's execs; empty when nothing. */
  execFile(id: string): Promise<string> {
    return readFile(join(this.dataRoot, 'containers', id, 'execs'), 'utf8').catch(() => '');
  }

  /** Removes every container, ends the agent, and tells what is left of them that should not be. */
  async dispose(): Promise<void> {
    const leaks: string[] = [];
    try {
      if (!this.agent || this.agent.exitCode !== null || this.agent.signalCode !== null) await this.startAgent();
      for (const { id } of this.scheduler.hello?.containers ?? []) await this.#removeQuietly(id);
      for (const id of new Set(this.scheduler.statuses.map((status) => status.id))) await this.#removeQuietly(id);
      await this.#settled(leaks);
    } finally {
      await this.#close(leaks);
    }
    if (leaks.length > 0) throw new Error(`left behind: ${leaks.join(', ')}\n${this.output}`);
  }

  async #close(leaks: string[]): Promise<void> {
    await this.killAgent('SIGTERM');
    leaks.push(...(await shimsOf(this.dataRoot, true)));
    await this.scheduler.stop();
    await this.registry.stop();
    execFileSync('ip', ['netns', 'del', this.name]);
    for (const path of await cgroupFolders(this.name)) await rmdir(path).catch(() => leaks.push(path));
    await rm(this.folder, { recursive: true, force: true });
  }

  async #removeQuietly(id: string): Promise<void> {
    const record = containerV1.ContainerRecord.fromPartial({ id, nodeId: this.nodeId });
    await this.remove(record, { volumes: true }).catch(() => undefined);
  }

  async #settled(leaks: string[]): Promise<void> {
    // A supervisor ends a moment after its container's removal was reported.
    for (let attempt = 0; attempt < 100; attempt++) {
      leaks.splice(0, leaks.length, ...(await this.leaks()));
      if (leaks.length === 0) return;
      await sleep(20);
    }
  }

  /** Processes, cgroups, links, mounts and files of containers. */
  async leaks(): Promise<readonly string[]> {
    const links = execFileSync('ip', ['-n', this.name, '-o', 'link'], { encoding: 'utf8' });
    const veths = [...links.matchAll(/: (at[vnwx][0-9a-f]+)/g)].map((match) => `link ${match[1]}`);
    const groups = (await Promise.all((await cgroupFolders(this.name)).map(childFolders))).flat();
    const mounts = (await readFile('/proc/self/mounts', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(this.folder));
    const data = this.dataView;
    const files = existsSync(join(data, 'containers')) ? await readdir(join(data, 'containers')) : [];
    const builds = existsSync(join(data, 'builds')) ? await readdir(join(data, 'builds')) : [];
    return [...veths, ...groups, ...mounts, ...files, ...builds, ...(await shimsOf(this.dataRoot, false))];
  }
}
