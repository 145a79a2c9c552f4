import { join } from 'node:path';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';
import { parseTcpEndpoint } from '../cluster/tcp-endpoint.ts';
import { agentPlan } from './agent-plan.ts';
import { pairs, type ServicePlan, serviceProcess } from './service-process.ts';

export type ServiceName = 'scheduler' | 'registry' | 'image-builder' | 'gateway';

export interface PlannedHost {
  readonly name: string;
  readonly address: string;
}

/** Turns the settings of a cluster into what each process needs to know. Pure, so that tests can look at it. */
export class ServicePlanner {
  readonly #paths: ClusterPaths;
  readonly #settings: ClusterSettings;
  readonly #address: string;

  /** `address`: the machine's own address on the underlay. */
  constructor(paths: ClusterPaths, settings: ClusterSettings, address: string) {
    this.#paths = paths;
    this.#settings = settings;
    this.#address = address;
  }

  get credentialsFile(): string {
    return join(this.#paths.runDir, 'nats-credentials.json');
  }

  get natsListen(): string {
    return `127.0.0.1:${this.#port('nats')}`;
  }

  /** Where other services and agents reach a service. */
  endpoint(service: ServiceName): string {
    return `${this.#settings.advertise ?? this.#address}:${this.#port(service)}`;
  }

  /** The distribution API for push and pull from this machine; it asks for no password, so it is on loopback only. */
  get registryHttp(): string {
    return `127.0.0.1:${this.#port('registry-http')}`;
  }

  /** `durable`: how nats-server was made to keep what it acknowledges. */
  scheduler(durable: 'sync' | 'flags' | undefined): ServicePlan {
    return this.#plan('scheduler', {
      ...this.#nats(),
      ATOLL_CA_DIR: this.#paths.authorityDir,
      ATOLL_ADVERTISE: this.endpoint('scheduler'),
      ATOLL_SCHEDULERS: this.endpoint('scheduler'),
      ATOLL_REGISTRY: this.endpoint('registry'),
      ATOLL_GATEWAYS: this.endpoint('gateway'),
      ATOLL_NATS_STORE_DIR: this.#paths.natsStore,
      ...(durable && { ATOLL_NATS_DURABLE: durable }),
      ATOLL_STRATEGY: this.#settings.strategy,
    });
  }

  registry(): ServicePlan {
    return this.#plan('registry', {
      ...this.#nats(),
      ATOLL_DATA_ROOT: this.#paths.serviceData('registry'),
      ATOLL_LISTEN_HTTP: this.registryHttp,
      ATOLL_REGISTRY_NAMES: `${this.registryHttp},localhost:${this.#port('registry-http')}`,
      ATOLL_REGISTRY_MIRRORS: pairs(this.#settings.registryMirrors),
    });
  }

  imageBuilder(): ServicePlan {
    return this.#plan('image-builder', {
      ...this.#peers(),
      ATOLL_DATA_ROOT: this.#paths.serviceData('image-builder'),
    });
  }

  gateway(): ServicePlan {
    return this.#plan('gateway', {
      ...this.#nats(),
      ...this.#peers(),
      ATOLL_DOCKER_SOCKET: this.#paths.dockerSocket,
      ATOLL_SOCKET_MOUNTS: this.#settings.socketMounts ?? 'allow',
      ...this.#tcp(),
    });
  }

  agent(host: PlannedHost): ServicePlan {
    return agentPlan(this.#paths, {
      hostname: host.name,
      address: host.address,
      schedulers: [this.endpoint('scheduler')],
      registry: this.endpoint('registry'),
      local: this.#settings.hosts === 1 && this.#settings.advertise === undefined,
      runtimes: this.#settings.runtimes ?? {},
      extra: {
        ATOLL_USERNS_REMAP: this.#settings.usernsRemap ?? '',
        ATOLL_SELINUX: this.#settings.selinux ?? 'auto',
      },
    });
  }

  #plan(service: ServiceName, env: Record<string, string>): ServicePlan {
    return serviceProcess(service, service, this.#paths, {
      ATOLL_TLS_DIR: this.#paths.tlsDir(service),
      ATOLL_LISTEN: this.#listen(service),
      ...env,
    });
  }

  /** On loopback the Docker API needs no certificates, anywhere else the gateway refuses to serve it without. */
  #tcp(): Record<string, string> {
    if (this.#settings.tcp === undefined) return {};
    const { host, port, loopback } = parseTcpEndpoint(this.#settings.tcp);
    const tls = loopback ? {} : { ATOLL_DOCKER_TLS_DIR: this.#paths.tlsDir('docker-server') };
    return { ATOLL_DOCKER_TCP: `${host}:${port}`, ...tls };
  }

  #nats(): Record<string, string> {
    return { ATOLL_NATS_URL: `nats://${this.natsListen}`, ATOLL_NATS_CREDENTIALS: this.credentialsFile };
  }

  #peers(): Record<string, string> {
    return {
      ATOLL_SCHEDULERS: this.endpoint('scheduler'),
      ATOLL_REGISTRY: this.endpoint('registry'),
      ATOLL_BUILDER: this.endpoint('image-builder'),
    };
  }

  /** A cluster for this machine only listens on its underlay; one for many machines on every address, behind mTLS. */
  #listen(service: string): string {
    return `${this.#settings.advertise ? '0.0.0.0' : this.#address}:${this.#port(service)}`;
  }

  #port(service: string): number {
    const port = this.#settings.ports[service];
    if (port === undefined) throw new Error(`no port for ${service} in ${this.#paths.settingsFile}`);
    return port;
  }
}
