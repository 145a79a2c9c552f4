import { failedPrecondition, notFound, unavailable } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import type {
  KnownArchive,
  RestoredVolume,
  RestoreSession,
  VolumeAccess,
  VolumeCopies,
} from '../resources/volume/copy-backend.ts';
import { knownVolumes } from '../resources/volume/volume-view.ts';
import type { Agents, VolumeDataClient } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import type { LeaderCaller } from './leader-caller.ts';
import { VolumeRestores } from './volume-restores.ts';

/** Copies of volumes: the leader says when and where, the bytes go from and to the agents. */
export class VolumeCopyAdapter implements VolumeCopies {
  readonly #state: ClusterState;
  readonly #agents: Agents;
  readonly #leader: LeaderCaller;
  readonly #restores: VolumeRestores;

  constructor(state: ClusterState, agents: Agents, leader: LeaderCaller) {
    this.#state = state;
    this.#agents = agents;
    this.#leader = leader;
    this.#restores = new VolumeRestores(state, leader, (nodeId, name) => this.#clientOf(nodeId, name));
  }

  async *backupVolume(
    name: string,
    {
      access,
      timeoutSeconds,
      known: begin,
    }: {
      readonly access: VolumeAccess;
      readonly timeoutSeconds: number | undefined;
      readonly known: KnownArchive | undefined;
    },
    signal: AbortSignal,
  ): AsyncGenerator<Buffer> {
    const known = knownVolumes(this.#state).get(name);
    if (known === undefined) throw notFound(`get ${name}: no such volume`);
    const { nodeId, options, labels } = known.record;
    if (Object.keys(options).length > 0) {
      throw failedPrecondition(
        `volume ${name} has options of its driver: its files are not the host's own, copy them where they are`,
      );
    }
    const home = nodeId === '' ? this.#state.volumeHome(name) : nodeId;
    if (home === undefined) throw failedPrecondition(`volume ${name} has no files yet: no container has used it`);
    const end = new AbortController();
    const life = AbortSignal.any([signal, end.signal]);
    const held = access === 'stop' ? this.#hold(name, timeoutSeconds, life) : undefined;
    try {
      if (held) await held.next();
      held?.next().then(
        () => end.abort(unavailable(`the users of volume ${name} were started again while it was read`)),
        (error: unknown) => end.abort(error),
      );
      const way = access === 'live' ? volumeV1.VolumeAccess.LIVE : volumeV1.VolumeAccess.PAUSE;
      const { created = '', bytes = 0, sha256: skippedSha256 = '' } = begin ?? {};
      const request = { name, access: way, labels, created, skip: BigInt(bytes), skippedSha256 };
      const answers = this.#clientOf(home, name).readVolume(request, { signal: life });
      for await (const { data } of answers) yield data;
    } finally {
      end.abort(new DOMException('the backup is over', 'AbortError'));
    }
  }

  restoreVolume(
    name: string,
    options: { readonly host: string; readonly force: boolean; readonly session: RestoreSession | undefined },
    archive: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<RestoredVolume> {
    return this.#restores.restore(name, options, archive, signal);
  }

  suspendRestore(name: string, id: string, signal: AbortSignal): Promise<number | undefined> {
    return this.#restores.suspend(name, id, signal);
  }

  discardRestore(name: string, id: string, signal: AbortSignal): Promise<void> {
    return this.#restores.discard(name, id, signal);
  }

  cloneVolume(
    name: string,
    options: { readonly newName: string; readonly live: boolean; readonly labels: Record<string, string> },
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.VolumeProgress> {
    return this.#seen(
      this.#leader.streamVolumes((client, how) => client.cloneVolume({ name, ...options }, how), signal),
    );
  }

  moveVolume(
    name: string,
    options: {
      readonly host: string;
      readonly recreate: boolean;
      readonly timeoutSeconds: number | undefined;
      readonly others: string[];
    },
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.VolumeProgress> {
    const { host: node, recreate, others } = options;
    const request = { name, node, recreate, with: others, timeoutSeconds: inSeconds(options.timeoutSeconds) };
    return this.#seen(this.#leader.streamVolumes((client, how) => client.moveVolume(request, how), signal));
  }

  #hold(name: string, timeoutSeconds: number | undefined, signal: AbortSignal): AsyncGenerator<unknown> {
    const request = { name, timeoutSeconds: inSeconds(timeoutSeconds) };
    return this.#leader.streamVolumes((client, how) => client.holdVolume(request, how), signal);
  }

  async *#seen(
    answers: AsyncIterable<{ readonly progress: volumeV1.VolumeProgress | undefined }>,
  ): AsyncGenerator<volumeV1.VolumeProgress> {
    for await (const { progress } of answers) {
      if (progress?.volume) this.#state.applyVolume(progress.volume);
      if (progress) yield progress;
    }
  }

  #clientOf(nodeId: string, name: string): VolumeDataClient {
    const node = this.#state.nodes().find(({ record }) => record.id === nodeId);
    return this.#agents.volumesOf(node?.record, `volume ${name}`);
  }
}

const inSeconds = (seconds: number | undefined): bigint | undefined =>
  seconds === undefined ? undefined : BigInt(seconds);
