import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { type ClusterNames, clusterNames } from '@atoll/hosts';

export const DEFAULT_NAME = 'default';
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
/** A unix socket's path holds 107 bytes at most (unix(7)). */
const SOCKET_PATH_LIMIT = 107;

/** Where the files of one cluster of this machine are. Clusters with different names never meet. */
export class ClusterPaths {
  readonly name: string;
  readonly dataRoot: string;
  readonly runDir: string;
  readonly cgroup: string;

  constructor(options: { readonly name?: string; readonly dataRoot?: string }) {
    const name = options.name ?? DEFAULT_NAME;
    if (!NAME.test(name)) throw invalidArgument(`cluster name ${name}: use up to 32 of a-z, 0-9 and -`);
    this.name = name;
    this.dataRoot = resolve(options.dataRoot ?? (name === DEFAULT_NAME ? '/var/lib/atoll' : `/var/lib/atoll-${name}`));
    this.runDir = join('/run/atoll', name);
    this.cgroup = `/atoll/${name}`;
    if (this.dockerSocket.length > SOCKET_PATH_LIMIT) throw invalidArgument(`cluster name ${name} is too long`);
  }

  get dockerSocket(): string {
    return join(this.runDir, 'docker.sock');
  }
  get controlSocket(): string {
    return join(this.runDir, 'control.sock');
  }
  get stateFile(): string {
    return join(this.runDir, 'state.json');
  }
  get readyDir(): string {
    return join(this.runDir, 'ready');
  }
  /** Shared by all clusters of the machine. */
  get blockClaims(): string {
    return '/run/atoll/.subnets';
  }
  get settingsFile(): string {
    return join(this.dataRoot, 'cluster.json');
  }
  get natsStore(): string {
    return join(this.dataRoot, 'nats');
  }
  get authorityDir(): string {
    return join(this.dataRoot, 'pki', 'ca');
  }
  get logDir(): string {
    return join(this.dataRoot, 'logs');
  }
  tlsDir(service: string): string {
    return join(this.dataRoot, 'pki', service);
  }
  serviceData(service: string): string {
    return join(this.dataRoot, service);
  }
  hostData(host: string): string {
    return join(this.dataRoot, 'hosts', host);
  }
  hostCgroup(host: string): string {
    return `${this.cgroup}/${host}`;
  }
  serviceCgroup(service: string): string {
    return `${this.cgroup}/services/${service}`;
  }

  /** Names of bridges, tables and cables; two data roots never share one. */
  names(): ClusterNames {
    return clusterNames(`${this.name} ${realRoot(this.dataRoot)}`);
  }
}

function realRoot(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return join(realpathSync(dirname(path)), basename(path));
  }
}
