import { conflict, hasReason, internal, unavailable } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import type { RestoredVolume, RestoreSession } from '../resources/volume/copy-backend.ts';
import type { VolumeDataClient } from './agents.ts';
import type { ClusterState } from './cluster-state.ts';
import type { LeaderCaller } from './leader-caller.ts';
import { pieces } from './pieces.ts';

/** How long the leader may take to take a half restored volume away. */
const DISCARD_MS = 10_000;

type Request = volumeV1.RestoreVolumeRequest;
/** What the leader hears last. */
type LastWord = NonNullable<Request['message']>;

/** Restores of volumes: the leader says where, the archive goes to that host's agent. Both keep one that has an id when it is cut. */
export class VolumeRestores {
  readonly #state: Pick<ClusterState, 'applyVolume'>;
  readonly #leader: LeaderCaller;
  readonly #clientOf: (nodeId: string, name: string) => VolumeDataClient;

  constructor(
    state: Pick<ClusterState, 'applyVolume'>,
    leader: LeaderCaller,
    clientOf: (nodeId: string, name: string) => VolumeDataClient,
  ) {
    this.#state = state;
    this.#leader = leader;
    this.#clientOf = clientOf;
  }

  /** See VolumeCopies.restoreVolume. */
  async restore(
    name: string,
    {
      host: node,
      force,
      session,
    }: { readonly host: string; readonly force: boolean; readonly session: RestoreSession | undefined },
    archive: AsyncIterable<Buffer>,
    signal: AbortSignal,
  ): Promise<RestoredVolume> {
    const end = new AbortController();
    const life = AbortSignal.any([signal, end.signal]);
    const lastWord = outcome<LastWord | undefined>();
    const resume = session?.offset !== undefined;
    const start = { name, node, force, restoreId: session?.id ?? '', resume };
    const answers = this.#ask(start, lastWord.promise, life);
    try {
      const begun = await firstOf(answers);
      if (!begun.operation) return { volume: begun, archive: undefined };
      const { id: operation, kind } = begun.operation;
      const write = volumeV1.WriteVolumeStart.fromPartial({
        name,
        operation,
        replace: kind === volumeV1.VolumeOperationKind.REPLACE,
        resumable: session !== undefined,
        resume,
        offset: BigInt(session?.offset ?? 0),
      });
      const client = this.#clientOf(begun.nodeId, name);
      const { sha256, archiveBytes, labels } = await client.writeVolume(writeRequests(write, archive), {
        signal: life,
      });
      lastWord.resolve({ $case: 'commit', value: { labels } });
      const { value: done } = await answers.next();
      if (!done?.volume) throw internal('the scheduler answered without the volume');
      this.#state.applyVolume(done.volume);
      return { volume: done.volume, archive: { sha256, bytes: Number(archiveBytes) } };
    } catch (error) {
      // Without a last word the leader takes away what there is: then the name is free again. One that has an id it keeps for a while.
      lastWord.resolve(session && !mayGoOn(error, signal) ? { $case: 'discard', value: {} } : undefined);
      const late = setTimeout(() => end.abort(error), DISCARD_MS);
      await answers.next().catch(() => undefined);
      clearTimeout(late);
      throw error;
    } finally {
      end.abort(new DOMException('the restore is over', 'AbortError'));
      await answers.return(undefined).catch(() => undefined);
    }
  }

  /** See VolumeCopies.suspendRestore. */
  async suspend(name: string, id: string, signal: AbortSignal): Promise<number | undefined> {
    const answers = this.#ask(joining(name, id), new Promise(() => undefined), signal);
    try {
      const { operation, nodeId } = await firstOf(answers);
      if (!operation) return undefined;
      const { offset } = await this.#clientOf(nodeId, name).suspendWrite({ operation: operation.id }, { signal });
      return Number(offset);
    } finally {
      await answers.return(undefined).catch(() => undefined);
    }
  }

  /** See VolumeCopies.discardRestore. */
  async discard(name: string, id: string, signal: AbortSignal): Promise<void> {
    const discard: LastWord = { $case: 'discard', value: {} };
    const answers = this.#ask(joining(name, id), Promise.resolve(discard), signal);
    const { operation } = await firstOf(answers);
    // It ends when all is gone.
    for await (const _ of answers);
    if (!operation) throw conflict(`the restore of volume ${name} is done: remove the volume`);
  }

  #ask(
    start: volumeV1.RestoreVolumeStart,
    lastWord: Promise<LastWord | undefined>,
    signal: AbortSignal,
  ): AsyncGenerator<volumeV1.RestoreVolumeResponse> {
    const requests = async function* (): AsyncGenerator<Request> {
      yield { message: { $case: 'start', value: start } };
      const message = await lastWord;
      if (message !== undefined) yield { message };
    };
    return this.#leader.streamVolumes((client, how) => client.restoreVolume(requests(), how), signal);
  }
}

const joining = (name: string, restoreId: string): volumeV1.RestoreVolumeStart =>
  volumeV1.RestoreVolumeStart.fromPartial({ name, restoreId, resume: true });

async function firstOf(answers: AsyncIterator<volumeV1.RestoreVolumeResponse>): Promise<volumeV1.VolumeRecord> {
  const { value } = await answers.next();
  if (!value?.volume) throw internal('the scheduler answered without the volume');
  return value.volume;
}

/** Was it cut, by whomever, or asked for wrongly? Of all else the host keeps nothing. */
const mayGoOn = (error: unknown, signal: AbortSignal): boolean =>
  signal.aborted || hasReason(error, 'unavailable', 'cancelled', 'deadline-exceeded', 'out-of-range');

/** A promise that is settled from outside. */
function outcome<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function* writeRequests(
  start: volumeV1.WriteVolumeStart,
  archive: AsyncIterable<Buffer>,
): AsyncGenerator<volumeV1.WriteVolumeRequest> {
  yield { message: { $case: 'start', value: start } };
  for await (const value of pieces(uncut(archive))) yield { message: { $case: 'data', value } };
  yield { message: { $case: 'end', value: {} } };
}

/** Errors: unavailable when the client's connection breaks. */
async function* uncut(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  try {
    yield* archive;
  } catch (cause) {
    throw unavailable(`the archive was cut off: ${(cause as Error).message}`, { cause });
  }
}
