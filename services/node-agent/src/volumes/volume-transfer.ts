import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { deadlineExceeded, notFound, permissionDenied } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import type { ChannelPool, Peer } from '@atoll/rpc';
import { unlessMissing } from '../files/missing.ts';
import { Counted } from '../images/hashed.ts';
import { failpoint } from '../processes/failpoint.ts';
import { SerialQueue } from '../processes/serial-queue.ts';
import type { UnpackLimits } from '../runtime/shim-tools.ts';
import type { UnpackedVolume, VolumeTools } from '../runtime/volume-tools.ts';
import { volumeArchive } from './volume-archive.ts';
import type { VolumeCopies } from './volume-copies.ts';
import type { VolumeStore } from './volume-store.ts';
import type { VolumeUsers } from './volume-users.ts';

const { VolumeAccess } = volumeV1;

/** A reader or a sender that does nothing for so long has failed: nobody stands still for it. */
const STALL_MS = 60_000;
const PROGRESS_MS = 500;

export interface VolumeTransferOptions {
  readonly volumes: VolumeStore;
  readonly copies: VolumeCopies;
  readonly tools: VolumeTools;
  readonly users: VolumeUsers;
  readonly channels: Pick<ChannelPool, 'get'>;
  /** What an archive may fill at the moment. */
  readonly room: () => Promise<UnpackLimits>;
}

/** One copy of a volume from another host. */
export interface Pull {
  readonly volume: string;
  readonly operation: string;
  readonly peerNodeId: string;
  readonly peerAddress: string;
  /** Neither: the only copy. */
  readonly first: boolean;
  readonly second: boolean;
}

/** Moves the files of volumes: out as archives, in from archives, from host to host, and beside themselves. */
export class VolumeTransfer {
  readonly #options: VolumeTransferOptions;
  /** Operation and node that may read, by volume. */
  readonly #grants = new Map<string, { readonly operation: string; readonly nodeId: string }>();
  readonly #running = new Map<string, AbortController>();
  readonly #turns = new Map<string, SerialQueue>();
  readonly #waiting = new Map<string, number>();
  /** Readers by volume. */
  readonly #reading = new Map<string, number>();

  constructor(options: VolumeTransferOptions) {
    this.#options = options;
  }

  /** Lets another node read the volume until the operation ends or this agent does. */
  grant(volume: string, operation: string, nodeId: string): void {
    this.#grants.set(volume, { operation, nodeId });
  }

  /** One after the other for each volume: what removes it has ended before something is put in its place. */
  inTurn<T>(volume: string, task: () => Promise<T>): Promise<T> {
    const queue = this.#turns.get(volume) ?? new SerialQueue();
    this.#turns.set(volume, queue);
    this.#waiting.set(volume, (this.#waiting.get(volume) ?? 0) + 1);
    return queue.run(task).finally(() => {
      const left = (this.#waiting.get(volume) ?? 1) - 1;
      if (left > 0) return this.#waiting.set(volume, left);
      this.#waiting.delete(volume);
      return this.#turns.delete(volume);
    });
  }

  /** Removing its files now would make a copy of them that is not whole. */
  isRead(volume: string): boolean {
    return this.#reading.has(volume);
  }

  /** Forgets an operation: grants, what runs of it, and what is not in place. */
  async end(operation: string): Promise<void> {
    for (const [volume, grant] of this.#grants) if (grant.operation === operation) this.#grants.delete(volume);
    this.#running.get(operation)?.abort(new DOMException('the operation was ended', 'AbortError'));
    await this.#options.copies.end(operation);
  }

  /** Forgets all operations. */
  async endAll(): Promise<void> {
    this.#grants.clear();
    for (const life of this.#running.values()) life.abort(new DOMException('another scheduler leads', 'AbortError'));
    await this.#options.copies.clear();
  }

  /** An archive of the volume. Errors: see VolumeDataService.ReadVolume. */
  async *read(
    request: volumeV1.ReadVolumeRequest,
    peer: Peer | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { name, operation, first, second, labels } = request;
    const { copies, tools, users } = this.#options;
    this.#admit(name, operation, peer);
    const folder = await this.#existing(name);
    const noting = first ? { note: await copies.freshNotes(operation) } : {};
    const noted = second ? { unlessNoted: copies.of(operation, 'notes') } : {};
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
      const tree = tools.pack(folder, { ...noting, ...noted }, AbortSignal.any([signal, life.signal]));
      const settled = async (): Promise<void> => {
        held?.check();
        await held?.release();
      };
      for await (const chunk of volumeArchive({ name, labels }, tree, settled)) {
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

  /** Puts an uncompressed archive's files in place as a volume. */
  async write(
    start: volumeV1.WriteVolumeStart,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    this.#options.volumes.path(start.name);
    return this.#under(start.operation, signal, async (life) => {
      try {
        const unpacked = await this.#unpack(start.operation, 'whole', archive, {}, life);
        await this.#place(start.operation, start.name, start.replace, life);
        return unpacked;
      } finally {
        await this.#options.copies.end(start.operation);
      }
    });
  }

  /** Copies from another host; after the only or the second copy the volume is in place. `progress` hears of bytes. */
  async pull(pull: Pull, progress: (bytes: number) => void): Promise<void> {
    const { volume, operation, first, second } = pull;
    const { channels, copies } = this.#options;
    this.#options.volumes.path(volume);
    await this.#under(operation, undefined, async (life) => {
      const client = channels.get(pull.peerAddress, 'node', pull.peerNodeId).client(volumeV1.VolumeDataServiceService);
      const request = { name: volume, operation, access: VolumeAccess.LIVE, first, second, labels: {} };
      const archive = new Counted(unstalled(client.readVolume(request, { signal: life }), pull.peerAddress));
      const ticking = setInterval(() => progress(archive.size), PROGRESS_MS);
      try {
        const earlier = second ? { earlier: join(copies.of(operation, 'first'), 'data') } : {};
        await this.#unpack(operation, first ? 'first' : 'whole', archive, earlier, life);
      } finally {
        clearInterval(ticking);
      }
      progress(archive.size);
      if (!first) await this.#place(operation, volume, false, life);
    });
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
        const tree = tools.pack(folder, { byReference: true }, life);
        const archive = volumeArchive({ name: volume, labels: {} }, tree, async () => undefined);
        await this.#unpack(operation, 'whole', archive, { earlier: folder, copy: true }, life);
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
    part: 'first' | 'whole',
    archive: AsyncIterable<Uint8Array>,
    earlier: { readonly earlier?: string; readonly copy?: boolean },
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    const { copies, tools, room } = this.#options;
    const folder = await copies.fresh(operation, part);
    const unpacked = await tools.unpack(folder, archive, { ...(await room()), ...earlier }, signal);
    failpoint('receive.1-unpacked');
    return unpacked;
  }

  async #place(operation: string, volume: string, replace: boolean, signal: AbortSignal): Promise<void> {
    await this.inTurn(volume, () => this.#options.copies.place(operation, volume, replace, signal));
    failpoint('receive.2-placed');
    await this.#options.copies.end(operation);
  }

  /** Errors: permission-denied for a node that was granted nothing. */
  #admit(name: string, operation: string, peer: Peer | undefined): void {
    if (peer?.role !== 'node') return;
    const grant = this.#grants.get(name);
    if (grant?.operation === operation && grant.nodeId === peer.id) return;
    throw permissionDenied(`volume ${name} was not granted to node ${peer.id} for operation ${operation}`);
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
    this.#running.set(operation, life);
    try {
      return await work(signal ? AbortSignal.any([signal, life.signal]) : life.signal);
    } finally {
      if (this.#running.get(operation) === life) this.#running.delete(operation);
    }
  }
}

/** The bytes of a peer's answers. Errors: deadline-exceeded when it sends nothing for a minute. */
async function* unstalled(
  answers: AsyncIterable<volumeV1.ReadVolumeResponse>,
  address: string,
): AsyncGenerator<Uint8Array> {
  const iterator = answers[Symbol.asyncIterator]();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        const error = deadlineExceeded(`the host at ${address} sent nothing for ${STALL_MS / 1000} s`);
        timer = setTimeout(() => reject(error), STALL_MS);
      });
      const next = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value.data;
    }
  } finally {
    await iterator.return?.();
  }
}
