import { isIP } from 'node:net';
import { invalidArgument } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { networkV1 } from '@atoll/proto';
import { SerialQueue } from '../processes/serial-queue.ts';
import type { ForwardedTarget, Protocol } from './nft-ruleset.ts';
import type { StateJournal } from './state-journal.ts';

/** What the kernel's tables do for it. */
export interface PortForwarding {
  forward(changes: ReadonlyMap<string, ForwardedTarget | undefined>): Promise<void>;
  isForwarded(key: string): boolean;
}

export interface ForwardedPortsOptions {
  readonly hostIp: string;
  /** Empty: the host has none. */
  readonly hostIpv6: string;
  readonly forwarding: PortForwarding;
  /** Rejects with EADDRINUSE when a program of this host listens on one of its addresses: its clients are not taken away. */
  readonly probe: (protocol: Protocol, hostIp: string, port: number) => Promise<void>;
  readonly journal: StateJournal<networkV1.PortState>;
  readonly logger: Logger;
}

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp'];
/** All there can be: each port once for each protocol. */
const MAX_PORTS = 3 * 65_535;
const PARALLEL_PROBES = 64;
const JOURNAL = 'forwarded';
/** How often a port that a program of this host has is looked at again. */
const RETRY_MS = 60_000;

/** Published ports of other hosts' containers, as the scheduler tells them. What was told last goes on while there is no scheduler. */
export class ForwardedPorts {
  readonly #options: ForwardedPortsOptions;
  readonly #wanted = new Map<string, ForwardedTarget>();
  /** Ports that programs of this host have. */
  readonly #left = new Set<string>();
  readonly #changed = new Set<string>();
  readonly #queue = new SerialQueue();
  #gathered: networkV1.PortState | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ForwardedPortsOptions) {
    this.#options = options;
  }

  /** Remembers what was told before the agent's start. Forwarded with the next `flush`. */
  async recover(): Promise<void> {
    for (const state of await this.#options.journal.load()) this.#take(state);
    this.#timer = setInterval(() => {
      for (const key of this.#left) this.#changed.add(key);
      void this.flush();
    }, RETRY_MS).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#queue.idle();
    await this.#options.journal.idle();
  }

  /** A leader begins to tell: half a state of an earlier session counts for nothing. */
  sessionBegan(): void {
    this.#gathered = undefined;
  }

  /** Takes over what is told; resolves when the kernel has followed. A failure is noted, and mended with the next change. */
  async apply(part: networkV1.PortState): Promise<void> {
    const { journal, logger } = this.#options;
    try {
      const state = this.#gather(part);
      if (!state) return;
      this.#take(state);
      const written = journal
        .add(JOURNAL, state, () => this.#whole())
        .catch((err: unknown) => {
          logger.warn({ err }, 'what was told of published ports cannot be written down');
        });
      await Promise.all([this.flush(), written]);
    } catch (err) {
      logger.error({ err }, 'published ports of other hosts are not in order');
    }
  }

  /** Brings the kernel to what is wanted. Never rejects: what failed is tried again with the next change. */
  flush(): Promise<void> {
    return this.#queue.run(async () => {
      const keys = [...this.#changed];
      if (keys.length === 0) return;
      this.#changed.clear();
      try {
        const changes = new Map<string, ForwardedTarget | undefined>();
        for (let at = 0; at < keys.length; at += PARALLEL_PROBES) {
          const some = keys.slice(at, at + PARALLEL_PROBES);
          const targets = await Promise.all(some.map((key) => this.#allowed(key)));
          for (const [index, key] of some.entries()) changes.set(key, targets[index]);
        }
        await this.#options.forwarding.forward(changes);
      } catch (err) {
        for (const key of keys) this.#changed.add(key);
        this.#options.logger.error({ err }, 'published ports of other hosts are not in order');
      }
    });
  }

  /** The target, unless a program of this host has the port. What is forwarded already stays so. */
  async #allowed(key: string): Promise<ForwardedTarget | undefined> {
    const target = this.#wanted.get(key);
    if (!target || this.#options.forwarding.isForwarded(key)) {
      this.#left.delete(key);
      return target;
    }
    const { hostIp, hostIpv6, probe, logger } = this.#options;
    try {
      if (target.ipv4 !== '') await probe(target.protocol, hostIp, target.hostPort);
      if (target.ipv6 !== '' && hostIpv6 !== '') await probe(target.protocol, hostIpv6, target.hostPort);
      this.#left.delete(key);
      return target;
    } catch (err) {
      // What other machines know this host by may not be an address of its own: nobody listens there.
      if ((err as NodeJS.ErrnoException).code !== 'EADDRINUSE') return target;
      const known = this.#left.has(key);
      this.#left.add(key);
      if (!known) {
        const to = target.ipv4 || target.ipv6;
        logger.warn({ err, port: key, to }, 'a program of this host has the port; it is not forwarded from here');
      }
      return undefined;
    }
  }

  #gather(part: networkV1.PortState): networkV1.PortState | undefined {
    const before = part.complete ? undefined : this.#gathered;
    this.#gathered = undefined;
    const state = before
      ? { ...before, ports: [...before.ports, ...part.ports], gone: [...before.gone, ...part.gone] }
      : { ...part, more: false };
    if (state.ports.length > MAX_PORTS) throw invalidArgument(`more than ${MAX_PORTS} published ports`);
    if (!part.more) return state;
    this.#gathered = state;
    return undefined;
  }

  #take(state: networkV1.PortState): void {
    const told = new Map(state.ports.map((port) => [keyOf(port), this.#target(port)]));
    const gone = state.complete ? [...this.#wanted.keys()].filter((key) => !told.has(key)) : state.gone.map(keyOf);
    for (const key of gone) {
      this.#wanted.delete(key);
      this.#changed.add(key);
    }
    for (const [key, target] of told) {
      if (target) this.#wanted.set(key, target);
      else this.#wanted.delete(key);
      this.#changed.add(key);
    }
  }

  /** Undefined when the owner shares this host's address: its own rules do it. */
  #target(port: networkV1.ForwardedPort): ForwardedTarget | undefined {
    const { hostIp, hostIpv6 } = this.#options;
    const protocol = PROTOCOLS.find((name) => name === port.protocol);
    if (!protocol) throw invalidArgument(`invalid proto: ${port.protocol}`);
    if (port.hostPort < 1 || port.hostPort > 65_535) throw invalidArgument(`invalid host port: ${port.hostPort}`);
    const ipv4 = isIP(port.hostIp) === 4 && port.hostIp !== hostIp ? port.hostIp : '';
    const ipv6 = isIP(port.hostIpv6) === 6 && port.hostIpv6 !== hostIpv6 ? port.hostIpv6 : '';
    return ipv4 === '' && ipv6 === '' ? undefined : { protocol, hostPort: port.hostPort, ipv4, ipv6 };
  }

  #whole(): networkV1.PortState {
    const ports = [...this.#wanted.values()].map(({ protocol, hostPort, ipv4, ipv6 }) => ({
      protocol,
      hostPort,
      hostIp: ipv4,
      hostIpv6: ipv6,
    }));
    return networkV1.PortState.fromPartial({ complete: true, ports });
  }
}

function keyOf({ hostPort, protocol }: networkV1.ForwardedPort): string {
  return `${hostPort}/${protocol}`;
}
