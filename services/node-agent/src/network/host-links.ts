import type { Logger } from '@atoll/logging';
import { nodeV1 } from '@atoll/proto';

export interface HostLinksOptions {
  readonly onLinkRoutes: () => readonly string[];
  readonly parentInterfaces: () => Promise<readonly string[]>;
  /** Tells the leader; false when nobody hears it. */
  readonly tell: (links: nodeV1.HostLinks) => boolean;
  readonly lookMs: number;
  readonly logger: Logger;
}

/** What of a host's own network may change while its agent runs. The leader hears of it with each hello, and when a look finds a change. */
export class HostLinks {
  readonly #options: HostLinksOptions;
  /** As encoded: what the leader was told last. */
  #told: Buffer | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: HostLinksOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), this.#options.lookMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** For a hello. */
  async forHello(): Promise<nodeV1.HostLinks> {
    const links = await this.#read();
    this.#told = encoded(links);
    return links;
  }

  /** Tells what has changed. A failure is logged; the next look is another chance. */
  async look(): Promise<void> {
    // Without a hello nobody has asked yet.
    if (this.#looking || this.#told === undefined) return;
    this.#looking = true;
    try {
      const before = this.#told;
      const links = await this.#read();
      const now = encoded(links);
      // A hello that came between has told it, or what is newer.
      if (this.#told !== before || now.equals(before)) return;
      if (this.#options.tell(links)) this.#told = now;
    } catch (err) {
      this.#options.logger.warn({ err }, "changes of the host's interfaces cannot be seen");
    } finally {
      this.#looking = false;
    }
  }

  async #read(): Promise<nodeV1.HostLinks> {
    const { onLinkRoutes, parentInterfaces, logger } = this.#options;
    // A host without the program that lists them still runs containers that need none.
    const parents = await parentInterfaces().catch((err: unknown) => {
      logger.warn({ err }, 'the interfaces of this host cannot be listed');
      return [];
    });
    return { onLinkRoutes: [...onLinkRoutes()], parentInterfaces: [...parents] };
  }
}

function encoded(links: nodeV1.HostLinks): Buffer {
  return Buffer.from(nodeV1.HostLinks.encode(links).finish());
}
