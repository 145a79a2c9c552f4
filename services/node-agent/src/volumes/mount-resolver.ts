import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { tmpfsMount } from '../containers/tmpfs-mount.ts';
import type { MountFlag, MountPlan, Propagation } from '../runtime/plan.ts';
import { bindSource } from './bind-source.ts';
import type { VolumeStore } from './volume-store.ts';

/** Copies what the image has at a path into a new volume. */
export interface VolumeSeeder {
  /** `lowers` top first. Nothing at `path` in the image is nothing to do. */
  seed(lowers: readonly string[], path: string, volume: string, signal: AbortSignal): Promise<void>;
}

export interface ResolvedMounts {
  readonly mounts: readonly MountPlan[];
  /** Volume name to its folder, for inspect. */
  readonly volumePaths: Readonly<Record<string, string>>;
}

const PROPAGATIONS: readonly Propagation[] = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];

/** Turns the mounts of a spec into binds of folders that exist. */
export class MountResolver {
  readonly #volumes: VolumeStore;
  readonly #seeder: VolumeSeeder;
  readonly #dataRoot: string;

  constructor(volumes: VolumeStore, seeder: VolumeSeeder, dataRoot: string) {
    this.#volumes = volumes;
    this.#seeder = seeder;
    this.#dataRoot = dataRoot;
  }

  async resolve(
    mounts: readonly containerV1.Mount[],
    lowers: readonly string[],
    signal: AbortSignal,
  ): Promise<ResolvedMounts> {
    const plans: MountPlan[] = [];
    const volumePaths: Record<string, string> = {};
    for (const mount of mounts) {
      if (!mount.target.startsWith('/') || /^\/(proc|sys)(\/|$)/.test(mount.target) || /^\/+$/.test(mount.target)) {
        throw invalidArgument(`invalid mount target "${mount.target}": must be an absolute path, not /, /proc or /sys`);
      }
      if (mount.type === 'tmpfs') {
        plans.push(tmpfsMount(mount));
      } else if (mount.type === 'volume') {
        const { path, fresh } = await this.#volumes.ensure(mount.source);
        if (fresh && !mount.noCopy) await this.#seeder.seed(lowers, mount.target, path, signal);
        volumePaths[mount.source] = path;
        plans.push(bind(mount, path));
      } else if (mount.type === 'bind') {
        plans.push(bind(mount, await bindSource(mount.source, this.#dataRoot)));
      } else {
        throw invalidArgument(`mount type "${mount.type}" is unknown: bind, volume and tmpfs are there`);
      }
    }
    return { mounts: plans, volumePaths };
  }
}

function bind(mount: containerV1.Mount, source: string): MountPlan {
  const propagation = PROPAGATIONS.find((known) => known === mount.propagation);
  if (mount.propagation !== '' && !propagation) {
    throw invalidArgument(`invalid mount propagation "${mount.propagation}"`);
  }
  const flags: readonly MountFlag[] = mount.readOnly ? ['ro'] : [];
  return { kind: 'bind', source, target: mount.target, flags, recursive: true, propagation: propagation ?? 'rprivate' };
}
