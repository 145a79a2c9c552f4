import { conflict } from '@atoll/errors';
import { type ForwardedPort, type PortListener, portKey, type Target } from './forwarded-port.ts';
import { listenTcp } from './tcp-listener.ts';
import { listenUdp } from './udp-listener.ts';

export interface PortForwarderOptions {
  /** Where a port's connections go now; asked for each, for a container may be placed anew. */
  readonly targetOf: (owner: string, port: ForwardedPort) => Target | undefined;
  /** Listen on loopback only: the kernel of this machine forwards all other addresses. */
  readonly loopbackOnly: (owner: string, port: ForwardedPort) => boolean;
  readonly onError: (owner: string, port: ForwardedPort, error: unknown) => void;
}

interface Open {
  readonly port: ForwardedPort;
  readonly listeners: Promise<readonly PortListener[]>;
}

/** Published ports of the cluster's containers on the machine of this gateway. */
export class PortForwarder {
  readonly #options: PortForwarderOptions;
  readonly #owners = new Map<string, Map<string, Open>>();

  constructor(options: PortForwarderOptions) {
    this.#options = options;
  }

  /**
   * Makes the owner's ports exactly these; ports that are open already stay.
   * @throws conflict in docker's words when one cannot be opened; those opened by this call are closed again
   */
  async open(owner: string, ports: readonly ForwardedPort[]): Promise<void> {
    const held = this.#owners.get(owner) ?? new Map<string, Open>();
    const wanted = new Map(ports.filter((port) => port.hostPort !== 0).map((port) => [portKey(port), port]));
    if (wanted.size > 0) this.#owners.set(owner, held);
    const closing = [...held].filter(([key]) => !wanted.has(key));
    for (const [key] of closing) held.delete(key);
    await Promise.all(closing.map(([, open]) => closeAll(open)));
    const fresh: [string, Open][] = [];
    for (const [key, port] of wanted) {
      if (held.has(key)) continue;
      const open = { port, listeners: this.#listen(owner, port) };
      open.listeners.catch(() => undefined);
      held.set(key, open);
      fresh.push([key, open]);
    }
    const results = await Promise.allSettled([...held.values()].map((open) => open.listeners));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed === undefined) return;
    for (const [key, open] of fresh) if (held.get(key) === open) held.delete(key);
    if (held.size === 0) this.#owners.delete(owner);
    await Promise.all(fresh.map(([, open]) => closeAll(open)));
    throw failed.reason;
  }

  /** What the mirror shows: like `open`, but a port that is taken is only reported. */
  follow(owner: string, ports: readonly ForwardedPort[]): void {
    const held = this.#owners.get(owner);
    if (ports.length === 0 && held === undefined) return;
    this.open(owner, ports).catch((error: unknown) => {
      for (const port of ports) this.#options.onError(owner, port, error);
    });
  }

  async close(owner: string): Promise<void> {
    const held = this.#owners.get(owner);
    this.#owners.delete(owner);
    await Promise.all([...(held?.values() ?? [])].map(closeAll));
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#owners.keys()].map((owner) => this.close(owner)));
  }

  async #listen(owner: string, port: ForwardedPort): Promise<readonly PortListener[]> {
    const target = (): Target | undefined => this.#options.targetOf(owner, port);
    const listen = port.protocol === 'udp' ? listenUdp : listenTcp;
    const opened: PortListener[] = [];
    try {
      for (const { address, optional } of addressesOf(port.hostIp, this.#options.loopbackOnly(owner, port))) {
        try {
          opened.push(await listen(address, port.hostPort, target));
        } catch (error) {
          if (!optional || errorCode(error) === 'EADDRINUSE') throw error;
        }
      }
    } catch (error) {
      await Promise.all(opened.map((listener) => listener.close()));
      throw bindError(port, error);
    }
    return opened;
  }
}

/** IPv6 is optional: machines without it are served on IPv4 alone. */
function addressesOf(
  hostIp: string,
  loopbackOnly: boolean,
): readonly { readonly address: string; readonly optional: boolean }[] {
  const all = hostIp === '' || hostIp === '0.0.0.0';
  if (loopbackOnly) {
    if (all)
      return [
        { address: '127.0.0.1', optional: false },
        { address: '::1', optional: true },
      ];
    return hostIp.startsWith('127.') || hostIp === '::1' ? [{ address: hostIp, optional: false }] : [];
  }
  if (hostIp !== '') return [{ address: hostIp, optional: false }];
  return [
    { address: '0.0.0.0', optional: false },
    { address: '::', optional: true },
  ];
}

async function closeAll(open: Open): Promise<void> {
  const listeners = await open.listeners.catch(() => []);
  await Promise.all(listeners.map((listener) => listener.close()));
}

function bindError(port: ForwardedPort, error: unknown): Error {
  const host = port.hostIp === '' ? '0.0.0.0' : port.hostIp;
  const why =
    errorCode(error) === 'EADDRINUSE'
      ? 'port is already allocated'
      : error instanceof Error
        ? error.message
        : String(error);
  return conflict(`Bind for ${host}:${port.hostPort} failed: ${why}`, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
