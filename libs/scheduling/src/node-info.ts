import { PortClaims } from './port-claims.ts';

export type Availability = 'active' | 'pause' | 'drain';

/** What is known of a host when something is placed. */
export interface NodeFacts {
  readonly id: string;
  readonly hostname: string;
  readonly os: string;
  /** Go's names: amd64, arm64. */
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Names of what can carry containers out there, the native one included. */
  readonly runtimes: ReadonlySet<string>;
  /** Bytes of memory and 1e-9 CPUs of the host. */
  readonly memory: number;
  readonly nanoCpus: number;
  /** Containers run in user namespaces unless they ask for the host's. */
  readonly usernsRemap?: boolean;
  /** Why it can have no container of an encrypted network; absent when it can. */
  readonly noEncryption?: string | undefined;
  /** Why its containers can name no AppArmor profile; absent when they can. */
  readonly noAppArmor?: string | undefined;
  /** Why what a container stores cannot be limited there; absent when it can. */
  readonly noStorageLimits?: string | undefined;
  /** Why its containers can name no SELinux label; absent when they can. */
  readonly noSELinux?: string | undefined;
}

/** A published port on its host. An empty address stands for all of them. */
export interface HostPort {
  readonly ip: string;
  readonly port: number;
  readonly protocol: string;
}

/** What one placed container holds of its host. */
export interface Claim {
  readonly memory: number;
  readonly nanoCpus: number;
  readonly ports: readonly HostPort[];
}

/** A host with what is claimed of it. Claims are added and taken back with the same value. */
export class NodeInfo {
  readonly ports = new PortClaims();
  facts: NodeFacts;
  ready: boolean;
  availability: Availability;
  reservedMemory = 0;
  reservedNanoCpus = 0;
  containers = 0;

  constructor(facts: NodeFacts, state: { readonly ready: boolean; readonly availability: Availability }) {
    this.facts = facts;
    this.ready = state.ready;
    this.availability = state.availability;
  }

  get freeMemory(): number {
    return this.facts.memory - this.reservedMemory;
  }

  get freeNanoCpus(): number {
    return this.facts.nanoCpus - this.reservedNanoCpus;
  }

  add(claim: Claim): void {
    this.#count(claim, 1);
    for (const port of claim.ports) this.ports.add(port);
  }

  remove(claim: Claim): void {
    this.#count(claim, -1);
    for (const port of claim.ports) this.ports.remove(port);
  }

  #count(claim: Claim, sign: 1 | -1): void {
    this.reservedMemory += sign * claim.memory;
    this.reservedNanoCpus += sign * claim.nanoCpus;
    this.containers += sign;
  }
}
