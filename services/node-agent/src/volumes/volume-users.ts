import { failedPrecondition } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';
import type { Container } from '../containers/container.ts';
import { isActive } from '../containers/container-states.ts';
import { deferred } from '../processes/deferred.ts';

const S = containerV1.ContainerState;

/** A volume whose users stand still. */
export interface HeldVolume {
  /** Errors: failed-precondition when a user ran meanwhile, or came: what was read is then of no one moment. */
  check(): void;
  /** Lets them go on; a second call does nothing. */
  release(): Promise<void>;
}

/** The containers of this host that use a volume. */
export class VolumeUsers {
  readonly #containers: () => readonly Container[];

  constructor(containers: () => readonly Container[]) {
    this.#containers = containers;
  }

  of(volume: string): Container[] {
    return this.#containers().filter(({ record, status }) => {
      if (status.state === S.REMOVING || status.state === S.REMOVED) return false;
      return record.spec?.mounts.some(({ type, source }) => type === 'volume' && source === volume) ?? false;
    });
  }

  /** Freezes them, as a commit does it: they go on also when this agent is killed, as soon as the next one starts. */
  async hold(volume: string): Promise<HeldVolume> {
    const users = this.of(volume);
    const end = deferred<void>();
    const holds: Promise<void>[] = [];
    const frozen = users.map((container) => {
      const taken = deferred<void>();
      const hold = container.freeze.during(async () => {
        taken.resolve();
        await end.promise;
      });
      hold.catch(taken.reject);
      holds.push(hold);
      return taken.promise;
    });
    const release = async (): Promise<void> => {
      end.resolve();
      await Promise.allSettled(holds);
    };
    try {
      await Promise.all(frozen);
    } catch (error) {
      await release();
      throw error;
    }
    const began = new Map(users.map(({ id, status }) => [id, status.startedAtNs]));
    const check = (): void => {
      for (const { id, record, status } of this.of(volume)) {
        const same = (began.get(id) ?? 0n) === status.startedAtNs;
        if (same && (!isActive(status.state) || status.state === S.PAUSED)) continue;
        throw failedPrecondition(
          `container ${record.spec?.name ?? id} went on using volume ${volume} while it was read: try again, or stop the container`,
        );
      }
    };
    return { check, release };
  }
}
