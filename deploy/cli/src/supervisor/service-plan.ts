import { join } from 'node:path';
import { SHIM, serviceEntry } from '../cluster/checkout.ts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';

export type ServiceName = 'scheduler' | 'registry' | 'image-builder' | 'gateway';

/** How a service process is started. */
export interface ServicePlan {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly readyFile: string;
}

export interface PlannedHost {
  readonly name: string;
  readonly address: string;
}

/** Port of every agent on its own address. */
export const AGENT_PORT = 7474;

/** Small young generation and heap limits: these processes hold little and must not grow for comfort. */
const NODE_FLAGS = [
  '--max-semi-space-size=2',
  '--max-old-space-size=256',
  '--optimize-for-size',
  '--disable-warning=ExperimentalWarning',
];

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
      ...(this.#settings.tcp && { ATOLL_DOCKER_TCP: this.#settings.tcp }),
    });
  }

  agent(host: PlannedHost): ServicePlan {
    const data = this.#paths.hostData(host.name);
    return {
      ...this.#plan('node-agent', {
        ATOLL_SCHEDULERS: this.endpoint('scheduler'),
        ATOLL_REGISTRY: this.endpoint('registry'),
        ATOLL_ADVERTISE: `${host.address}:${AGENT_PORT}`,
        ATOLL_HOST_IP: host.address,
        ATOLL_HOSTNAME: host.name,
        ATOLL_DATA_ROOT: data,
        ATOLL_TLS_DIR: join(data, 'tls'),
        ATOLL_CGROUP_PARENT: this.#paths.hostCgroup(host.name),
        ATOLL_SHIM: SHIM,
        ATOLL_LOCAL: String(this.#settings.hosts === 1),
        ATOLL_LISTEN: `${host.address}:${AGENT_PORT}`,
        ATOLL_READY_FILE: join(this.#paths.readyDir, `agent-${host.name}`),
      }),
      name: `agent ${host.name}`,
      readyFile: join(this.#paths.readyDir, `agent-${host.name}`),
    };
  }

  #plan(service: ServiceName | 'node-agent', env: Record<string, string>): ServicePlan {
    const readyFile = join(this.#paths.readyDir, service);
    return {
      name: service,
      argv: [process.execPath, ...NODE_FLAGS, serviceEntry(service)],
      readyFile,
      env: {
        ATOLL_TLS_DIR: this.#paths.tlsDir(service),
        ATOLL_READY_FILE: readyFile,
        ...(service !== 'node-agent' && { ATOLL_LISTEN: this.#listen(service) }),
        ...env,
      },
    };
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

function pairs(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
