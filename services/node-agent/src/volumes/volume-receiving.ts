import { notFound, outOfRange, unavailable } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import { failpoint } from '../processes/failpoint.ts';
import type { UnpackedVolume } from '../runtime/volume-tools.ts';
import { IncomingArchive } from './incoming-archive.ts';

/** So long an archive that was cut waits for the call that goes on with it. Whoever sends it tries for half a minute. */
const WAIT_MS = 120_000;
/** Each is a process and a pipe; one more that is cut is given up as if it could not be gone on with. */
const MAX_WAITING = 16;

export interface VolumeReceivingOptions {
  /** Makes a volume of an archive; leaves nothing when it fails or is aborted. */
  readonly receive: (
    start: volumeV1.WriteVolumeStart,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ) => Promise<UnpackedVolume>;
  readonly waitMs?: number;
  readonly maxWaiting?: number;
}

/**
 * Archives on their way in, by operation. One whose call is cut, and that says it is resumable, waits: what has come is unpacked
 * already, the helper and its digest stand where they are, and another call brings the bytes behind. That it is whole is believed when
 * its digest is, as of one that came at once.
 */
export class VolumeReceiving {
  readonly #options: VolumeReceivingOptions;
  readonly #incoming = new Map<string, IncomingArchive>();

  constructor(options: VolumeReceivingOptions) {
    this.#options = options;
  }

  /** Errors: see VolumeDataService.WriteVolume. */
  async write(
    start: volumeV1.WriteVolumeStart,
    archive: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    const { operation, resume, resumable } = start;
    const incoming = resume ? this.#joined(start) : await this.#begun(start);
    const unpacked = await incoming.bring(archive, signal, async () => {
      if (!resumable || incoming.hasFailed || !this.#hasRoom() || this.#incoming.get(operation) !== incoming)
        return await this.#drop(operation, incoming, unavailable('the archive was cut off'));
      incoming.wait(
        this.#options.waitMs ?? WAIT_MS,
        () => void this.#drop(operation, incoming, unavailable('nobody went on with the archive')),
      );
      failpoint('resume.1-waiting');
    });
    if (this.#incoming.get(operation) === incoming) this.#incoming.delete(operation);
    return unpacked;
  }

  /** Bytes that are there of an archive that waits; a call that brings more is cut. Errors: not-found. */
  async suspend(operation: string): Promise<number> {
    const incoming = this.#incoming.get(operation);
    await incoming?.cut(unavailable('another call goes on with the archive'));
    if (!incoming?.isWaiting) throw unknown(operation);
    return incoming.bytes;
  }

  /** Gives an archive up. Nothing is left of it afterwards. */
  async end(operation: string): Promise<void> {
    const incoming = this.#incoming.get(operation);
    const reason = unavailable('the restore was ended on this host: begin anew');
    if (incoming) await this.#drop(operation, incoming, reason);
  }

  async endAll(): Promise<void> {
    await Promise.all([...this.#incoming.keys()].map((operation) => this.end(operation)));
  }

  async #begun(start: volumeV1.WriteVolumeStart): Promise<IncomingArchive> {
    await this.end(start.operation);
    const incoming = new IncomingArchive((archive, signal) => this.#options.receive(start, archive, signal));
    this.#incoming.set(start.operation, incoming);
    return incoming;
  }

  #joined({ operation, offset }: volumeV1.WriteVolumeStart): IncomingArchive {
    const incoming = this.#incoming.get(operation);
    if (!incoming) throw unknown(operation);
    if (!incoming.isWaiting) throw outOfRange('another call brings that archive: ask first how far it has come');
    if (BigInt(incoming.bytes) !== offset)
      throw outOfRange(`${incoming.bytes} bytes of the archive are here: go on behind those, not behind ${offset}`);
    failpoint('resume.2-joined');
    return incoming;
  }

  #hasRoom(): boolean {
    const waiting = [...this.#incoming.values()].filter((incoming) => incoming.isWaiting);
    return waiting.length < (this.#options.maxWaiting ?? MAX_WAITING);
  }

  async #drop(operation: string, incoming: IncomingArchive, reason: Error): Promise<void> {
    if (this.#incoming.get(operation) === incoming) this.#incoming.delete(operation);
    await incoming.end(reason);
  }
}

const unknown = (operation: string) =>
  notFound(`nothing waits here of an archive of operation ${operation}: begin anew`);
