import { conflict, notFound } from '@atoll/errors';
import type { Logger } from '@atoll/logging';
import { containerV1 } from '@atoll/proto';
import { failpoint } from '../processes/failpoint.ts';
import { Semaphore } from '../processes/semaphore.ts';
import { Container } from './container.ts';
import type { StoredContainer } from './container-files.ts';
import type { Launcher } from './launcher.ts';
import { SEQ_GAP, StatusBook, type StatusListener } from './status-book.ts';

const S = containerV1.ContainerState;
const PARALLEL_RECOVERIES = 16;
/** How long an agent that ends waits for files of removed containers; what is left is for its next start. */
const REMOVALS_MS = 2_000;

export interface ContainerManagerOptions {
  readonly nodeId: string;
  readonly launcher: Launcher;
  readonly logger: Logger;
}

/** All containers of this host. */
export class ContainerManager {
  readonly #options: ContainerManagerOptions;
  readonly #containers = new Map<string, Container>();
  /** Containers whose record did not survive a power cut: kept until the scheduler says what they are. */
  readonly #orphans = new Map<string, containerV1.ContainerStatus>();
  readonly #listeners = new Set<StatusListener>();

  constructor(options: ContainerManagerOptions) {
    this.#options = options;
  }

  /** Finds the containers of before the agent's start. Those that run go on; what ended meanwhile is known afterwards. */
  async recover(): Promise<void> {
    const slots = new Semaphore(PARALLEL_RECOVERIES);
    const stored = await this.#options.launcher.options.files.list();
    await Promise.all(stored.map((one) => slots.run(() => this.#recoverOne(one))));
  }

  /** Throws not-found. */
  get(id: string): Container {
    const container = this.#containers.get(id);
    if (!container) throw notFound(`No such container: ${id}`);
    return container;
  }

  find(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  list(): readonly Container[] {
    return [...this.#containers.values()];
  }

  statuses(): readonly containerV1.ContainerStatus[] {
    return [...this.list().map(({ status }) => status), ...this.#orphans.values()];
  }

  /** Makes the container known and prepares it in the background, or takes over its newer record. */
  ensure(record: containerV1.ContainerRecord): Container {
    const existing = this.#containers.get(record.id);
    if (existing) {
      if (existing.status.state === S.REMOVING) throw conflict(`container ${record.id} is being removed`);
      existing.adopt(record);
      existing.acknowledge();
      return existing;
    }
    const { files } = this.#options.launcher.options;
    const orphan = this.#orphans.get(record.id);
    this.#orphans.delete(record.id);
    const book = StatusBook.fresh(files, record.id, this.#options.nodeId, orphan?.seq ?? 0n);
    const container = this.#add(record, book);
    book.follow(record.generation);
    book.change({ state: S.CREATING });
    failpoint('create.1-known');
    container.prepare();
    return container;
  }

  /** The last status; undefined when there was no such container. */
  async remove(
    id: string,
    options: { readonly force: boolean; readonly volumes: boolean },
  ): Promise<containerV1.ContainerStatus | undefined> {
    const container = this.#containers.get(id);
    if (container) {
      await container.remove(options);
      this.#containers.delete(id);
      return container.status;
    }
    const orphan = this.#orphans.get(id);
    if (!orphan) return undefined;
    this.#orphans.delete(id);
    await this.#options.launcher.cleanUp(id);
    await this.#options.launcher.options.files.remove(id);
    return { ...orphan, seq: orphan.seq + 1n, state: S.REMOVED };
  }

  /** Deletes a volume; one that is not there is fine. Errors: conflict while a container has it. */
  async removeVolume(name: string): Promise<void> {
    const { volumes, volumeMounts } = this.#options.launcher.options;
    const folder = volumes.path(name);
    if (this.#isUsed(name, '')) throw conflict(`remove ${name}: volume is in use`);
    await volumeMounts.unmount(folder);
    await volumes.remove(name);
  }

  /** Calls back at each change of any container's status until the function it gives is called. */
  listen(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The agent ends; the containers go on. */
  async detach(): Promise<void> {
    const { files } = this.#options.launcher.options;
    const bounded = AbortSignal.timeout(REMOVALS_MS);
    await Promise.all([...this.list().map((container) => container.detach()), files.settled(bounded)]);
  }

  #add(record: containerV1.ContainerRecord, book: StatusBook): Container {
    const { launcher, logger } = this.#options;
    const usedElsewhere = (volume: string): boolean => this.#isUsed(volume, record.id);
    const container = new Container({ record, book, launcher, logger, usedElsewhere });
    book.listen((status) => {
      for (const listener of [...this.#listeners]) listener(status);
    });
    this.#containers.set(record.id, container);
    return container;
  }

  #isUsed(volume: string, exceptId: string): boolean {
    return this.list().some(
      ({ id, status, record }) =>
        id !== exceptId &&
        status.state !== S.REMOVING &&
        record.spec?.mounts.some(({ type, source }) => type === 'volume' && source === volume),
    );
  }

  async #recoverOne({ id, record, status }: StoredContainer): Promise<void> {
    const { nodeId, launcher, logger } = this.#options;
    if (!record) {
      logger.warn({ container: id }, 'the record of a container is damaged; its files are kept');
      this.#orphans.set(
        id,
        containerV1.ContainerStatus.fromPartial({
          id,
          nodeId,
          seq: (status?.seq ?? 0n) + SEQ_GAP,
          state: S.DEAD,
          error: 'the record of the container was lost in a power cut',
        }),
      );
      return;
    }
    const book = status
      ? StatusBook.resume(launcher.options.files, status)
      : StatusBook.fresh(launcher.options.files, id, nodeId, SEQ_GAP);
    const container = this.#add(record, book);
    book.follow(record.generation);
    if (!status) book.change({ state: S.CREATING });
    if (book.state === S.REMOVING) {
      await container.remove({ force: true, volumes: false });
      this.#containers.delete(id);
      return;
    }
    try {
      await container.recover();
      // The numbers go on from what is on disk: this one counts before anybody is told.
      book.change({});
      await book.flush();
    } catch (error) {
      logger.error({ container: id, err: error }, 'a container could not be taken over');
    }
  }
}
