import { lstat } from 'node:fs/promises';
import { deadlineExceeded, invalidArgument, notFound } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import type { ChannelPool } from '@atoll/rpc';
import { unlessMissing } from '../files/missing.ts';
import { decompressed } from '../images/decompress.ts';
import { failpoint } from '../processes/failpoint.ts';
import { KeyedQueue } from '../processes/keyed-queue.ts';
import type { UnpackLimits } from '../runtime/shim-tools.ts';
import type { UnpackedVolume, UnpackVolumeOptions, VolumeTools } from '../runtime/volume-tools.ts';
import { PeerArchive } from './peer-archive.ts';
import { skipKnown } from './skip-known.ts';
import { volumeArchive } from './volume-archive.ts';
import type { VolumeCopies } from './volume-copies.ts';
import { VOLUME_DATA_SERVICE } from './volume-data-definition.ts';
import type { VolumeKept } from './volume-kept.ts';
import { VolumeReceiving } from './volume-receiving.ts';
import { VolumeSending } from './volume-sending.ts';
import type { VolumeStore } from './volume-store.ts';
import type { VolumeUsers } from './volume-users.ts';

const { VolumeAccess } = volumeV1;

/** A reader or a sender that does nothing for so long has failed: nobody stands still for it. */
const STALL_MS = 60_000;
const PROGRESS_MS = 500;

export interface VolumeTransferOptions {
  readonly volumes: VolumeStore;
  readonly copies: VolumeCopies;
  readonly kept: VolumeKept;
  readonly tools: VolumeTools;
  readonly users: VolumeUsers;
  readonly channels: Pick<ChannelPool, 'bulk'>;
  /** What an archive may fill at the moment. */
  readonly room: () => Promise<UnpackLimits>;
}

/** One copy of a volume from another host. */
export interface Pull {
  readonly volume: string;
  readonly operation: string;
  readonly peerNodeId: string;
  readonly peerAddress: string;
  /** Another one follows: it is not put in place. */
  readonly first: boolean;
}

/** Moves the files of volumes: out as archives, in from archives, from host to host, and beside themselves. */
export class VolumeTransfer {
  readonly sending: VolumeSending;
  readonly receiving: VolumeReceiving;
  readonly #options: VolumeTransferOptions;
  readonly #running = new Map<string, AbortController>();
  readonly #turns = new KeyedQueue();
  /** Readers by volume. */
  readonly #reading = new Map<string, number>();

  constructor(options: VolumeTransferOptions) {
    this.#options = options;
    this.sending = new VolumeSending({
      copies: options.copies,
      tools: options.tools,
      hold: async (volume) => {
        const folder = await this.#existing(volume);
        this.#read(volume, 1);
        return { folder, release: () => this.#read(volume, -1) };
      },
    });
    this.receiving = new VolumeReceiving({ receive: (start, archive, life) => this.#write(start, archive, life) });
  }

  /** One after the other for each volume: what removes it has ended before something is put in its place. */
  inTurn<T>(volume: string, task: () => Promise<T>): Promise<T> {
    return this.#turns.run(volume, task);
  }

  /** Removing its files now would make a copy of them that is not whole. */
  isRead(volume: string): boolean {
    return this.#reading.has(volume);
  }

  /** Forgets an operation: grants, what runs of it, and what is not in place. */
  async end(operation: string): Promise<void> {
    this.sending.end(operation);
    const given = this.receiving.end(operation);
    this.#running.get(operation)?.abort(new DOMException('the operation was ended', 'AbortError'));
    await given;
    await this.#options.copies.end(operation);
  }

  /** Forgets all operations. */
  async endAll(): Promise<void> {
    this.sending.endAll();
    const given = this.receiving.endAll();
    for (const life of this.#running.values()) life.abort(new DOMException('another scheduler leads', 'AbortError'));
    await given;
    await this.#options.copies.clear();
  }

  /** Drops what was kept of the volume for a next copy. */
  async forget(volume: string): Promise<void> {
    this.#options.volumes.path(volume);
    await this.#options.kept.forget(volume);
  }

  /** An archive of the volume. Errors: see VolumeDataService.ReadVolume. */
  async *read(request: volumeV1.ReadVolumeRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { name, labels, skip, skippedSha256 } = request;
    const { tools, users } = this.#options;
    const created = timeOf(request.created);
    const folder = await this.#existing(name);
    const held = request.access === VolumeAccess.PAUSE ? await users.hold(name) : undefined;
    const life = new AbortController();
    const stalled = (): void => {
      life.abort(
        deadlineExceeded(`the backup of volume ${name} was not taken off for ${STALL_MS / 1000} s: it is given up`),
      );
      void held?.release();
    };
    let timer: NodeJS.Timeout | undefined;
    this.#read(name, 1);
    try {
      const ends = AbortSignal.any([signal, life.signal]);
      const tree = (head: Buffer) => tools.pack(folder, { head }, ends);
      const settled = async (): Promise<void> => {
        held?.check();
        await held?.release();
      };
      const archive = volumeArchive({ name, labels, ...(created && { created }) }, tree, settled);
      for await (const chunk of skipKnown(archive, { bytes: Number(skip), sha256: skippedSha256 })) {
        timer = setTimeout(stalled, STALL_MS);
        yield chunk;
        clearTimeout(timer);
        life.signal.throwIfAborted();
      }
    } finally {
      clearTimeout(timer);
      this.#read(name, -1);
      await held?.release();
    }
  }

  /** Puts an archive's files in place as a volume. */
  async #write(
    start: volumeV1.WriteVolumeStart,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    this.#options.volumes.path(start.name);
    return this.#under(start.operation, signal, async (life) => {
      try {
        const unpacked = await this.#unpack(start.operation, decompressed(archive), {}, life);
        await this.#place(start.operation, start.name, start.replace, life);
        return unpacked;
      } finally {
        await this.#options.copies.end(start.operation);
      }
    });
  }

  /**
   * Copies from another host, beginning with what was kept of earlier copies; unless another one follows the volume is in place
   * afterwards, and nothing is kept. One of the same operation that still runs is given up. `progress` hears of bytes.
   */
  async pull(pull: Pull, progress: (bytes: number) => void): Promise<void> {
    const { volume, operation, first } = pull;
    const { copies, kept, volumes } = this.#options;
    volumes.path(volume);
    await this.#under(operation, undefined, (life) =>
      kept.during(volume, async (keep) => {
        life.throwIfAborted();
        await this.#receive(pull, keep, progress, life);
        failpoint('copy.1-received');
        if (first) return await copies.remove(operation, 'whole');
        // Before the volume is anybody's: its files are the same ones.
        await kept.handOver(keep, copies.freshKept(operation));
        failpoint('copy.2-handed');
        // What is left of the operation is removed when it ends, not while its users wait.
        await this.inTurn(volume, () => copies.place(operation, volume, false, life));
        failpoint('receive.2-placed');
      }),
    );
  }

  async #receive(
    { volume, operation, peerAddress, peerNodeId }: Pull,
    keep: string,
    progress: (bytes: number) => void,
    life: AbortSignal,
  ): Promise<void> {
    const { channels, kept } = this.#options;
    const client = channels.bulk(peerAddress, 'node', peerNodeId).client(VOLUME_DATA_SERVICE);
    const requests = async function* (): AsyncGenerator<volumeV1.PullVolumeRequest> {
      yield { message: { $case: 'start', value: { name: volume, operation } } };
      for await (const value of kept.notes(keep)) yield { message: { $case: 'notes', value } };
    };
    const archive = new PeerArchive(client.pullVolume(requests(), { signal: life }), peerAddress, STALL_MS);
    const ticking = setInterval(() => progress(archive.size), PROGRESS_MS);
    try {
      await this.#unpack(operation, archive, { keep }, life);
    } catch (error) {
      // That the archive is not whole is what follows.
      throw archive.error ?? error;
    } finally {
      clearInterval(ticking);
    }
    progress(archive.size);
  }

  /** A copy of a volume of this host under another name; files share their blocks where the file system can. */
  async clone(volume: string, newName: string, operation: string, live: boolean): Promise<void> {
    const { tools, users, volumes } = this.#options;
    volumes.path(newName);
    const folder = await this.#existing(volume);
    await this.#under(operation, undefined, async (life) => {
      const held = live ? undefined : await users.hold(volume);
      this.#read(volume, 1);
      try {
        const tree = (head: Buffer) => tools.pack(folder, { head, byReference: true }, life);
        const archive = volumeArchive({ name: volume, labels: {} }, tree, async () => undefined);
        await this.#unpack(operation, archive, { earlier: folder, copy: true }, life);
        held?.check();
        await held?.release();
        await this.#place(operation, newName, false, life);
      } finally {
        this.#read(volume, -1);
        await held?.release();
        await this.#options.copies.end(operation);
      }
    });
  }

  async #unpack(
    operation: string,
    archive: AsyncIterable<Uint8Array>,
    earlier: Pick<UnpackVolumeOptions, 'earlier' | 'copy' | 'keep'>,
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    const { copies, tools, room } = this.#options;
    const folder = await copies.fresh(operation, 'whole');
    const unpacked = await tools.unpack(folder, archive, { ...(await room()), ...earlier }, signal);
    failpoint('receive.1-unpacked');
    return unpacked;
  }

  async #place(operation: string, volume: string, replace: boolean, signal: AbortSignal): Promise<void> {
    await this.inTurn(volume, () => this.#options.copies.place(operation, volume, replace, signal));
    failpoint('receive.2-placed');
    await this.#options.copies.end(operation);
  }

  #read(volume: string, change: 1 | -1): void {
    const readers = (this.#reading.get(volume) ?? 0) + change;
    if (readers > 0) this.#reading.set(volume, readers);
    else this.#reading.delete(volume);
  }

  async #existing(name: string): Promise<string> {
    const folder = this.#options.volumes.path(name);
    const found = await unlessMissing(lstat(folder));
    if (!found?.isDirectory()) throw notFound(`volume ${name} has no files on this host`);
    return folder;
  }

  async #under<T>(
    operation: string,
    signal: AbortSignal | undefined,
    work: (life: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const life = new AbortController();
    this.#running.get(operation)?.abort(new DOMException('the operation was asked for again', 'AbortError'));
    this.#running.set(operation, life);
    try {
      return await work(signal ? AbortSignal.any([signal, life.signal]) : life.signal);
    } finally {
      if (this.#running.get(operation) === life) this.#running.delete(operation);
    }
  }
}

function timeOf(text: string): Date | undefined {
  if (text === '') return undefined;
  const time = new Date(text);
  // As a tar can say it.
  if (Number.isNaN(time.getTime()) || time.getTime() < 0 || time.getTime() > 8 ** 11 * 1000)
    throw invalidArgument(`"${text}" is no time of an archive`);
  return time;
}
