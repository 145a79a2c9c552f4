import { volumeSource } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { tmpfsMount } from '../containers/tmpfs-mount.ts';
import type { MountPlan, Propagation } from '../runtime/plan.ts';
import { requireRelabelSource } from '../selinux/relabel-source.ts';
import type { Labels } from '../selinux/selinux.ts';
import { bindSource } from './bind-source.ts';
import type { VolumeMounts } from './volume-mounts.ts';
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

type BindPlan = MountPlan & { readonly kind: 'bind' };

const PROPAGATIONS: readonly Propagation[] = ['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared'];

export interface ResolverFolders {
  /** What no container may have. */
  readonly dataRoot: string;
  /** A folder with nothing in it. */
  readonly emptyLayer: string;
}

/** Turns the mounts of a spec into binds of folders that exist. */
export class MountResolver {
  readonly #volumes: VolumeStore;
  readonly #volumeMounts: VolumeMounts;
  readonly #seeder: VolumeSeeder;
  readonly #folders: ResolverFolders;

  constructor(volumes: VolumeStore, volumeMounts: VolumeMounts, seeder: VolumeSeeder, folders: ResolverFolders) {
    this.#volumes = volumes;
    this.#volumeMounts = volumeMounts;
    this.#seeder = seeder;
    this.#folders = folders;
  }

  /** `directories` are the container's own image, `images` those it mounts, by target; all top first. `apiSocket`: where its shim listens. */
  async resolve(
    container: string,
    mounts: readonly containerV1.Mount[],
    {
      directories,
      images,
      apiSocket,
      labels,
    }: {
      readonly directories: readonly string[];
      readonly images: ReadonlyMap<string, readonly string[]>;
      readonly apiSocket: string;
      /** Undefined: the host does not use SELinux. */
      readonly labels?: Labels | undefined;
    },
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
        const source = volumeSource(mount.volumeOptions);
        if (source) await this.#volumeMounts.acquire(await this.#volumes.make(mount.source), source, container);
        const { path, fresh } = await this.#volumes.ensure(mount.source);
        const takesCopy = fresh && !mount.noCopy && mount.subpath === '';
        if (takesCopy) await this.#seeder.seed(directories, mount.target, path, signal);
        volumePaths[mount.source] = path;
        plans.push({ ...bind(mount, path), idmapped: true, ...relabelOf(mount, labels) });
      } else if (mount.type === 'bind' && mount.apiSocket) {
        // Like a volume it belongs to the container's root, whatever ids that has here.
        plans.push({ ...bind(mount, apiSocket), idmapped: true });
      } else if (mount.type === 'bind') {
        const source = await bindSource(mount.source, this.#folders.dataRoot, { make: !mount.mustExist });
        const relabel = relabelOf(mount, labels);
        if (relabel.relabel) requireRelabelSource(source);
        plans.push({ ...bind(mount, source), ...relabel });
      } else if (mount.type === 'image') {
        plans.push(imageMount(mount, images.get(mount.target) ?? [], labels && this.#folders.emptyLayer));
      } else {
        throw invalidArgument(`mount type "${mount.type}" is unknown: bind, volume, tmpfs and image are there`);
      }
    }
    return { mounts: plans, volumePaths };
  }
}

function bind(mount: containerV1.Mount, source: string): BindPlan {
  const propagation = PROPAGATIONS.find((known) => known === mount.propagation);
  if (mount.propagation !== '' && !propagation) {
    throw invalidArgument(`invalid mount propagation "${mount.propagation}"`);
  }
  return {
    kind: 'bind',
    source,
    ...subpathOf(mount),
    target: mount.target,
    flags: mount.readOnly ? ['ro'] : [],
    recursive: !mount.nonRecursive,
    flagsOnTop: mount.readOnlyNonRecursive,
    propagation: propagation ?? 'rprivate',
  };
}

/** What is the user's gets a label by wish, a volume's files have at least the one of all containers. */
function relabelOf({ type, relabel }: containerV1.Mount, labels: Labels | undefined): Pick<BindPlan, 'relabel'> {
  if (labels === undefined || (type === 'bind' && relabel === '')) return {};
  const label = relabel === 'private' ? labels.mount : labels.shared;
  return { relabel: { label, when: relabel === '' ? 'once' : 'always' } };
}

/** `empty`: a folder to lie below, where one layer alone will not do: it could not have a label. */
function imageMount(mount: containerV1.Mount, lowers: readonly string[], empty: string | undefined): MountPlan {
  if (lowers.length === 0) throw invalidArgument(`image "${mount.source}" has no files to mount on ${mount.target}`);
  return {
    kind: 'image',
    lowers: empty === undefined ? lowers : [...lowers, empty],
    ...subpathOf(mount),
    target: mount.target,
    flags: ['ro', 'nosuid', 'nodev'],
  };
}

function subpathOf({ subpath }: containerV1.Mount): { readonly subpath?: string } {
  return subpath === '' ? {} : { subpath };
}
