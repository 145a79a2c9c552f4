import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { failedPrecondition } from '@atoll/errors';
import { NamespaceHost, type ProcessIdentity, type Underlay } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { HostState, ServiceState } from '../cluster/cluster-state.ts';
import type { ServicePlanner } from './service-plan.ts';
import { stopContainers } from './stop-containers.ts';
import { SupervisedService } from './supervised-service.ts';

export interface SupervisedHostOptions {
  readonly paths: ClusterPaths;
  readonly planner: ServicePlanner;
  readonly underlay: Underlay;
  readonly name: string;
  readonly index: number;
  /** Holder of a host that may still be up from before. */
  readonly holder?: ProcessIdentity;
  readonly changed: () => void;
}

const AGENT_READY_MS = 240_000;
const AGENT_STOP_MS = 8000;

/** One host of this machine with its agent, and what can be done to it. */
export class SupervisedHost {
  readonly host: NamespaceHost;
  readonly tlsDir: string;
  readonly #options: SupervisedHostOptions;
  #agent: SupervisedService | undefined;
  #cut = false;

  constructor(options: SupervisedHostOptions) {
    const { paths, underlay, name, index, holder } = options;
    this.#options = options;
    this.tlsDir = join(paths.hostData(name), 'tls');
    const cgroup = paths.hostCgroup(name);
    this.host = new NamespaceHost({ underlay, name, index, cgroup, ...(holder && { holder }) });
  }

  get name(): string {
    return this.host.name;
  }

  /** Namespaces, address and cable. */
  async boot(): Promise<void> {
    await this.host.start();
    this.#cut = false;
    this.#options.changed();
  }

  async startAgent(): Promise<void> {
    const plan = this.#options.planner.agent(this.host);
    this.#agent = new SupervisedService(
      {
        name: plan.name,
        logFile: join(this.#options.paths.logDir, `agent-${this.name}.log`),
        readyTimeoutMs: AGENT_READY_MS,
        launch: async (log) => {
          await rm(plan.readyFile, { force: true });
          return this.host.spawn(plan.argv, {
            stdio: ['ignore', log, log],
            env: { ...baseEnvironment(), ...plan.env },
            cwd: '/',
          });
        },
        isReady: async (pid) => (await readFile(plan.readyFile, 'utf8').catch(() => '')).trim() === String(pid),
      },
      this.#options.changed,
    );
    await this.#agent.start();
  }

  /** The agent goes, its containers stay. */
  async stopAgent(): Promise<void> {
    await this.#agent?.stop(AGENT_STOP_MS);
    this.#agent = undefined;
  }

  /** Ends agent and containers in order, then the host. */
  async shutDown(containerGraceMs: number): Promise<void> {
    await this.stopAgent();
    await stopContainers(this.host.cgroup, containerGraceMs);
    await this.host.remove();
  }

  /** kill -9 of the agent alone; it is started again. */
  killAgent(): void {
    if (!this.#agent) throw failedPrecondition(`host ${this.name} is down`);
    this.#agent.kill();
  }

  /** The power plug. */
  async kill(): Promise<void> {
    const stopped = this.#agent?.stop(0);
    await this.host.kill();
    await stopped;
    this.#agent = undefined;
    this.#options.changed();
  }

  async revive(): Promise<void> {
    if (this.#agent) throw failedPrecondition(`host ${this.name} is up already`);
    await this.boot();
    await this.startAgent();
  }

  async setCable(plugged: boolean): Promise<void> {
    await (plugged ? this.host.heal() : this.host.cut());
    this.#cut = !plugged;
    this.#options.changed();
  }

  async limitLog(): Promise<void> {
    await this.#agent?.limitLog();
  }

  state(): HostState {
    const { name, index, address, holder } = this.host;
    return { name, index, address, cut: this.#cut, ...(holder && { holder }) };
  }

  agentState(): ServiceState {
    const agent = this.#agent;
    return {
      name: `agent ${this.name}`,
      host: this.name,
      ready: agent?.ready ?? false,
      restarts: agent?.restarts ?? 0,
      ...(agent?.process && { process: agent.process }),
    };
  }
}

/** What a service process inherits: nothing that a person's shell happens to hold, but the way to find programs. */
export function baseEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TZ', 'NODE_COMPILE_CACHE', 'ATOLL_LOG_LEVEL', 'ATOLL_TRACE'];
  const env: Record<string, string> = { NODE_ENV: 'production' };
  for (const name of kept) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  env['PATH'] = `${env['PATH'] ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`;
  return env;
}
