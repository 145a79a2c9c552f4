import { isIP } from 'node:net';
import { conflict } from '@atoll/errors';
import { runTool } from '../processes/run-tool.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import { type ForwardedTarget, fullRuleset, listTable, type PublishedPort } from './nft-ruleset.ts';
import { type PortElements, portElements } from './port-elements.ts';
import { hostOf, probePort } from './port-probe.ts';
import type { Subnet } from './subnet.ts';
import type { TableElements } from './table-elements.ts';
import { ensureIpv6Forwarding } from './user/forwarding.ts';

/** Keeps the kernel's tables of one bridge: address translation, the published ports of its containers and those of other hosts. */
export class PortPublisher {
  readonly #bridge: string;
  readonly #subnet: Subnet;
  readonly #elements: TableElements;
  readonly #forgetFlows: (ports: readonly number[]) => Promise<void>;
  readonly #queue = new SerialQueue();
  readonly #published = new Map<string, readonly PublishedPort[]>();
  readonly #forwarded = new Map<string, ForwardedTarget>();
  /** The tables as the kernel shows them when they are ours, without elements. */
  #expected: string | undefined;

  /** `forgetFlows` ends what the kernel remembers of UDP flows to ports of this host; it never rejects. */
  constructor(
    bridge: string,
    subnet: Subnet,
    elements: TableElements,
    forgetFlows: (ports: readonly number[]) => Promise<void>,
  ) {
    this.#bridge = bridge;
    this.#subnet = subnet;
    this.#elements = elements;
    this.#forgetFlows = forgetFlows;
  }

  /** Writes the whole tables as they should be. */
  assert(): Promise<void> {
    return this.#queue.run(() => this.#writeAll());
  }

  /** False when somebody else has changed the tables. Our own writing is waited for. */
  intact(): Promise<boolean> {
    return this.#queue.run(async () => this.#expected === undefined || (await this.#list()) === this.#expected);
  }

  /** Notes ports published since before, without the kernel; for `assert` afterwards. */
  remember(owner: string, ports: readonly PublishedPort[]): void {
    if (ports.length > 0) this.#published.set(owner, ports);
  }

  /**
   * Makes the owner's ports exactly these; those it has already are not interrupted. Throws conflict when a port is taken on this host,
   * by a container or by another program: then the owner has what it had.
   */
  async publish(owner: string, ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length === 0) return this.withdraw(owner);
    await this.#queue.run(async () => {
      const before = this.#published.get(owner) ?? [];
      const added = without(ports, before);
      for (const port of added) this.#checkFree(owner, port);
      await Promise.all(added.map(probePort));
      this.#published.set(owner, ports);
      try {
        await this.#change({ ports: without(before, ports) }, { ports: added });
      } catch (error) {
        if (before.length > 0) this.#published.set(owner, before);
        else this.#published.delete(owner);
        throw error;
      }
    });
  }

  /** Does nothing when the owner has no ports. */
  async withdraw(owner: string): Promise<void> {
    if (!this.#published.has(owner)) return;
    await this.#queue.run(async () => {
      const ports = this.#published.get(owner);
      if (!ports) return;
      this.#published.delete(owner);
      await this.#change({ ports }, {});
    });
  }

  /** Forwards ports of other hosts, by key; undefined ends it. What does not change is not touched. */
  async forward(changes: ReadonlyMap<string, ForwardedTarget | undefined>): Promise<void> {
    await this.#queue.run(async () => {
      const gone: ForwardedTarget[] = [];
      const added: ForwardedTarget[] = [];
      for (const [key, target] of changes) {
        const before = this.#forwarded.get(key);
        if (before?.ipv4 === target?.ipv4 && before?.ipv6 === target?.ipv6) continue;
        if (before) gone.push(before);
        if (target) added.push(target);
        if (target) this.#forwarded.set(key, target);
        else this.#forwarded.delete(key);
      }
      if (gone.length + added.length === 0) return;
      if (added.some(({ ipv6 }) => ipv6 !== '')) await ensureIpv6Forwarding();
      await this.#change({ forwarded: gone }, { forwarded: added });
    });
  }

  /** Is it forwarded to another host at this moment? */
  isForwarded(key: string): boolean {
    return this.#forwarded.has(key);
  }

  async #change(gone: PortElements, added: PortElements): Promise<void> {
    const elements = portElements(this.#bridge, gone, added);
    if (elements.length === 0) return;
    try {
      await this.#elements.change(elements);
    } catch {
      // A table is not there or not as it was: somebody flushed it, or it is the first port with IPv6. Or they are very many.
      await this.#writeAll();
    }
    // A client that goes on sending would go on to where its first datagram went.
    const changed = new Set([...udpPorts(gone), ...udpPorts(added)]);
    if (changed.size > 0) await this.#forgetFlows([...changed]);
  }

  async #writeAll(): Promise<void> {
    const ports = [...this.#published.values()].flat();
    await nft(fullRuleset(this.#bridge, this.#subnet, ports, [...this.#forwarded.values()]));
    this.#expected = await this.#list();
  }

  async #list(): Promise<string> {
    return (await Promise.all([listTable('ip', this.#bridge), listTable('ip6', this.#bridge)])).join('');
  }

  #checkFree(owner: string, wanted: PublishedPort): void {
    for (const [holder, ports] of this.#published) {
      const taken = ports.some(
        (port) =>
          port.protocol === wanted.protocol &&
          isIP(port.address) === isIP(wanted.address) &&
          port.hostPort === wanted.hostPort &&
          (port.hostIp === '' || wanted.hostIp === '' || port.hostIp === wanted.hostIp),
      );
      if (taken && holder !== owner) {
        const host = hostOf(wanted);
        throw conflict(
          `driver failed programming external connectivity: Bind for ${host}:${wanted.hostPort} failed: port is already allocated`,
        );
      }
    }
  }
}

function udpPorts({ ports = [], forwarded = [] }: PortElements): number[] {
  return [...ports, ...forwarded].filter(({ protocol }) => protocol === 'udp').map(({ hostPort }) => hostPort);
}

function without(ports: readonly PublishedPort[], others: readonly PublishedPort[]): readonly PublishedPort[] {
  return ports.filter(
    (port) =>
      !others.some(
        (other) =>
          other.protocol === port.protocol &&
          other.hostIp === port.hostIp &&
          other.hostPort === port.hostPort &&
          other.address === port.address &&
          other.containerPort === port.containerPort,
      ),
  );
}

async function nft(commands: string): Promise<void> {
  await runTool('nft', ['-f', '-'], { input: commands });
}
