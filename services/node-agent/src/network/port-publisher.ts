import { isIP } from 'node:net';
import { conflict } from '@atoll/errors';
import { runTool } from '../processes/run-tool.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import { fullRuleset, type PublishedPort, portCommands } from './nft-ruleset.ts';
import { hostOf, probePort } from './port-probe.ts';
import type { Subnet } from './subnet.ts';

/** Keeps the kernel's table of one bridge: address translation and the published ports of its containers. */
export class PortPublisher {
  readonly #bridge: string;
  readonly #subnet: Subnet;
  readonly #queue = new SerialQueue();
  readonly #published = new Map<string, readonly PublishedPort[]>();

  constructor(bridge: string, subnet: Subnet) {
    this.#bridge = bridge;
    this.#subnet = subnet;
  }

  /** Writes the whole table as it should be. */
  assert(): Promise<void> {
    return this.#queue.run(() => nft(fullRuleset(this.#bridge, this.#subnet, [...this.#published.values()].flat())));
  }

  /** Notes ports published since before, without the kernel; for `assert` afterwards. */
  remember(owner: string, ports: readonly PublishedPort[]): void {
    if (ports.length > 0) this.#published.set(owner, ports);
  }

  /** Throws conflict when a port is taken on this host, by a container or by another program. */
  async publish(owner: string, ports: readonly PublishedPort[]): Promise<void> {
    if (ports.length === 0) return;
    await this.withdraw(owner);
    await this.#queue.run(async () => {
      for (const port of ports) this.#checkFree(owner, port);
      await Promise.all(ports.map(probePort));
      try {
        await nft(portCommands('add', this.#bridge, ports));
      } catch {
        // The table is not there or not as it was: somebody flushed it.
        await nft(fullRuleset(this.#bridge, this.#subnet, [...[...this.#published.values()].flat(), ...ports]));
      }
      this.#published.set(owner, ports);
    });
  }

  /** Does nothing when the owner has no ports. */
  async withdraw(owner: string): Promise<void> {
    if (!this.#published.has(owner)) return;
    await this.#queue.run(async () => {
      const ports = this.#published.get(owner);
      if (!ports) return;
      this.#published.delete(owner);
      try {
        await nft(portCommands('delete', this.#bridge, ports));
      } catch {
        await nft(fullRuleset(this.#bridge, this.#subnet, [...this.#published.values()].flat()));
      }
    });
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

async function nft(commands: string): Promise<void> {
  await runTool('nft', ['-f', '-'], { input: commands });
}
