import type { networkV1 } from '@atoll/proto';

/** What a simulated host was told of published ports of other hosts. */
export class SimulatedPorts {
  readonly #ports = new Map<string, string>();
  /** Messages in order: `all 3`, `change 1 0`. */
  readonly journal: string[] = [];

  hear({ complete, ports, gone }: networkV1.PortState): void {
    this.journal.push(complete ? `all ${ports.length}` : `change ${ports.length} ${gone.length}`);
    if (complete) this.#ports.clear();
    for (const port of gone) this.#ports.delete(`${port.hostPort}/${port.protocol}`);
    for (const port of ports) {
      this.#ports.set(`${port.hostPort}/${port.protocol}`, [port.hostIp, port.hostIpv6].filter(Boolean).join(' '));
    }
  }

  /** Host addresses of the port's owner; undefined when the host does not forward it. */
  target(key: string): string | undefined {
    return this.#ports.get(key);
  }
}
