import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { notFound } from '@atoll/errors';
import { identifyProcess, type ProcessIdentity, parseBlock, Underlay } from '@atoll/hosts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';
import { type ClusterPhase, type ClusterState, type ServiceState, writeState } from '../cluster/cluster-state.ts';
import { StepList } from '../progress/step-list.ts';
import { joinHosts } from './join-hosts.ts';
import { machineService } from './machine-service.ts';
import type { NatsDurability } from './nats-durability.ts';
import { natsService } from './nats-service.ts';
import { removeLeftovers } from './remove-leftovers.ts';
import { ServicePlanner } from './service-plan.ts';
import type { ServicePlan } from './service-process.ts';
import { SupervisedHost } from './supervised-host.ts';
import { type ServiceDefinition, SupervisedService } from './supervised-service.ts';

const STOP_MS = 8000;
const LOG_CHECK_MS = 30_000;
/** Last to first: those that take work in stop before those that do it. Agents stop after the scheduler, which must not take them for lost. */
const STOP_ORDER = ['gateway', 'image-builder', 'scheduler'] as const;

/** Runs one cluster of this machine: starts its processes in order, keeps them running, ends them in order. */
export class Supervisor {
  readonly #paths: ClusterPaths;
  readonly #settings: ClusterSettings;
  readonly #underlay: Underlay;
  readonly #planner: ServicePlanner;
  readonly #services = new Map<string, SupervisedService>();
  readonly #hosts: readonly SupervisedHost[];
  readonly #steps = new StepList(() => this.#changed());
  readonly #self: ProcessIdentity;
  #phase: ClusterPhase = 'starting';
  #failure: string | undefined;
  #durability: NatsDurability | undefined;
  #writing: Promise<void> = Promise.resolve();
  #dirty = false;
  #logTimer: NodeJS.Timeout | undefined;

  private constructor(
    paths: ClusterPaths,
    settings: ClusterSettings,
    self: ProcessIdentity,
    holders: ReadonlyMap<string, ProcessIdentity>,
  ) {
    this.#paths = paths;
    this.#settings = settings;
    this.#self = self;
    this.#underlay = new Underlay({
      names: paths.names(),
      block: parseBlock(settings.block),
      claims: paths.blockClaims,
    });
    this.#planner = new ServicePlanner(paths, settings, this.#underlay.address);
    this.#hosts = Array.from({ length: settings.hosts }, (_, n) => {
      const name = `h${n + 1}`;
      const holder = holders.get(name);
      const changed = () => this.#changed();
      return new SupervisedHost({
        paths, planner: this.#planner, underlay: this.#underlay, name, index: n + 1, changed, ...(holder && { holder }),
      }); // biome-ignore format: short
    });
  }

  /** Takes over what an earlier supervisor of this cluster left: living hosts stay up, everything else is ended. */
  static async create(paths: ClusterPaths, settings: ClusterSettings): Promise<Supervisor> {
    const self = await identifyProcess(process.pid);
    if (!self) throw notFound('cannot read /proc: is it mounted?');
    const holders = await removeLeftovers(paths, { keepHosts: true });
    return new Supervisor(paths, settings, self, holders);
  }

  /** Returns when everything is ready. After an error `stop()` cleans up. */
  async start(): Promise<void> {
    this.#plan();
    await mkdir(this.#paths.readyDir, { recursive: true, mode: 0o700 });
    try {
      await Promise.all([this.#startNats(), this.#bootHosts()]);
      const planner = this.#planner;
      await Promise.all([
        this.#startService(planner.scheduler(this.#durability?.mode)).then(() => this.#startAgents()),
        this.#startService(planner.registry()),
        this.#startService(planner.imageBuilder()),
        this.#startService(planner.gateway()),
      ]);
      this.#phase = 'ready';
    } catch (error) {
      this.#phase = 'failed';
      this.#failure = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      await this.#flush();
    }
    this.#logTimer = setInterval(() => void this.#limitLogs(), LOG_CHECK_MS);
  }

  /** Ends everything and removes what the kernel holds for this cluster; data stays. */
  async stop(containerGraceMs: number): Promise<void> {
    clearInterval(this.#logTimer);
    this.#phase = this.#phase === 'failed' ? 'failed' : 'stopping';
    this.#changed();
    const stop = (name: string) => this.#services.get(name)?.stop(STOP_MS);
    for (const name of STOP_ORDER) {
      await this.#steps.run({ id: `stop ${name}`, label: `stop ${name}` }, async () => stop(name));
    }
    await Promise.all(
      this.#hosts.map((host) =>
        this.#steps.run(
          { id: `stop ${host.name}`, label: `stop host ${host.name}`, detail: 'agent and containers' },
          () => host.shutDown(containerGraceMs),
        ),
      ),
    );
    await this.#steps.run({ id: 'stop state', label: 'stop registry and nats-server' }, async () => {
      await stop('registry');
      await stop('nats-server');
    });
    await this.#flush();
    await removeLeftovers(this.#paths, { keepHosts: false, keepState: this.#phase === 'failed' });
  }

  host(name: string): SupervisedHost {
    const host = this.#hosts.find((candidate) => candidate.name === name);
    if (!host) throw notFound(`no host ${name}: there are ${this.#hosts.map((known) => known.name).join(', ')}`);
    return host;
  }

  /** kill -9 of one service; the supervisor starts it again. */
  killService(name: string): void {
    const service = this.#services.get(name);
    if (!service) throw notFound(`no service ${name}: there are ${[...this.#services.keys()].join(', ')}`);
    service.kill();
  }

  #plan(): void {
    for (const name of ['nats-server', 'scheduler', 'registry', 'image-builder', 'gateway'])
      this.#steps.plan(name, name);
    for (const host of this.#hosts) this.#steps.plan(host.name, `host ${host.name}`, host.host.address);
  }

  async #startNats(): Promise<void> {
    await this.#steps.run({ id: 'nats-server', label: 'nats-server' }, async (detail) => {
      const nats = await natsService(this.#paths, this.#planner, randomBytes(24).toString('hex'));
      this.#durability = nats.durability;
      detail(nats.durability.description);
      await this.#launch(nats.definition);
    });
  }

  async #startService(plan: ServicePlan): Promise<void> {
    await this.#steps.run({ id: plan.name, label: plan.name }, async (detail) => {
      detail('waiting until it is ready');
      await this.#launch(await machineService(this.#paths, plan));
      detail(plan.name === 'gateway' ? this.#paths.dockerSocket : (plan.env['ATOLL_LISTEN'] ?? ''));
    });
  }

  async #bootHosts(): Promise<void> {
    await this.#underlay.create();
    for (const host of this.#hosts) await host.boot();
  }

  async #startAgents(): Promise<void> {
    await joinHosts({
      scheduler: this.#planner.endpoint('scheduler'),
      operatorTlsDir: this.#paths.tlsDir('operator'),
      hosts: this.#hosts.map(({ name, host, tlsDir }) => ({ name, address: host.address, tlsDir })),
    });
    await Promise.all(
      this.#hosts.map((host) =>
        this.#steps.run(
          { id: host.name, label: `host ${host.name}`, detail: 'waiting for its agent' },
          async (detail) => {
            await host.startAgent();
            detail(host.host.address);
          },
        ),
      ),
    );
  }

  async #launch(definition: ServiceDefinition): Promise<void> {
    const service = new SupervisedService(definition, () => this.#changed());
    this.#services.set(definition.name, service);
    await service.start();
  }

  async #limitLogs(): Promise<void> {
    for (const one of [...this.#services.values(), ...this.#hosts]) await one.limitLog().catch(() => undefined);
  }

  /** Changes that come together are written once. */
  #changed(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#writing = this.#writing.then(async () => {
      this.#dirty = false;
      await writeState(this.#paths, this.#state()).catch(() => undefined);
    });
  }

  async #flush(): Promise<void> {
    this.#changed();
    await this.#writing;
  }

  #state(): ClusterState {
    const services = [...this.#services.values()].map(
      ({ name, ready, restarts, process: identity }): ServiceState => ({
        name, ready, restarts, ...(identity && { process: identity }),
      }),
    ); // biome-ignore format: short
    return {
      phase: this.#phase,
      supervisor: this.#self,
      dataRoot: this.#paths.dataRoot,
      block: this.#settings.block,
      durability: this.#durability?.description ?? '',
      endpoints: {
        docker: `unix://${this.#paths.dockerSocket}`,
        ...(this.#settings.tcp && { tcp: `tcp://${this.#settings.tcp}` }),
        scheduler: this.#planner.endpoint('scheduler'),
        registry: this.#planner.registryHttp,
      },
      services: [...services, ...this.#hosts.map((host) => host.agentState())],
      hosts: this.#hosts.map((host) => host.state()),
      steps: this.#steps.list(),
      ...(this.#failure !== undefined && { failure: this.#failure }),
    };
  }
}
