import { open, rm } from 'node:fs/promises';
import { deadlineExceeded, invalidArgument, permissionDenied, resourceExhausted } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import type { Peer } from '@atoll/rpc';
import type { VolumeTools } from '../runtime/volume-tools.ts';
import { volumeArchive } from './volume-archive.ts';
import type { VolumeCopies } from './volume-copies.ts';

/** More than four million notes. */
const MAX_NOTES_BYTES = 768 << 20;
const STALL_MS = 60_000;

export interface VolumeSendingOptions {
  readonly copies: VolumeCopies;
  readonly tools: VolumeTools;
  /** The volume's folder, which is not removed until `release`. Errors: not-found. */
  readonly hold: (volume: string) => Promise<{ readonly folder: string; readonly release: () => void }>;
}

/** Sends volumes of this host to nodes that the leader has granted them to. */
export class VolumeSending {
  readonly #options: VolumeSendingOptions;
  /** Operation and node that may read, by volume. */
  readonly #grants = new Map<string, { readonly operation: string; readonly nodeId: string }>();

  constructor(options: VolumeSendingOptions) {
    this.#options = options;
  }

  grant(volume: string, operation: string, nodeId: string): void {
    this.#grants.set(volume, { operation, nodeId });
  }

  end(operation: string): void {
    for (const [volume, grant] of this.#grants) if (grant.operation === operation) this.#grants.delete(volume);
  }

  endAll(): void {
    this.#grants.clear();
  }

  /** Errors: see VolumeDataService.PullVolume. */
  async *send(
    requests: AsyncIterable<volumeV1.PullVolumeRequest>,
    peer: Peer | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { copies, tools, hold } = this.#options;
    const input = requests[Symbol.asyncIterator]();
    const first = await input.next();
    const start = first.done ? undefined : first.value.message;
    if (start?.$case !== 'start') throw invalidArgument('the first message of a pull must be its start');
    const { name, operation } = start.value;
    this.#admit(name, operation, peer);
    const held = await hold(name);
    const notes = await copies.freshNotes(operation);
    const life = new AbortController();
    const stalled = (): void =>
      life.abort(deadlineExceeded(`volume ${name} was not taken off for ${STALL_MS / 1000} s`));
    let timer: NodeJS.Timeout | undefined;
    try {
      await store(input, notes);
      const ends = AbortSignal.any([signal, life.signal]);
      const tree = (head: Buffer) => tools.pack(held.folder, { head, unlessNoted: notes }, ends);
      for await (const chunk of volumeArchive({ name, labels: {} }, tree, async () => undefined)) {
        timer = setTimeout(stalled, STALL_MS);
        yield chunk;
        clearTimeout(timer);
        life.signal.throwIfAborted();
      }
    } finally {
      clearTimeout(timer);
      held.release();
      await rm(notes, { force: true });
    }
  }

  /** Errors: permission-denied for a node that was granted nothing. */
  #admit(name: string, operation: string, peer: Peer | undefined): void {
    const grant = this.#grants.get(name);
    if (peer?.role === 'node' && grant?.operation === operation && grant.nodeId === peer.id) return;
    throw permissionDenied(`volume ${name} was not granted to node ${peer?.id} for operation ${operation}`);
  }
}

async function store(input: AsyncIterator<volumeV1.PullVolumeRequest>, path: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  let bytes = 0;
  try {
    for (let next = await input.next(); !next.done; next = await input.next()) {
      if (next.value.message?.$case !== 'notes') throw invalidArgument('after its start a pull has notes only');
      bytes += next.value.message.value.length;
      if (bytes > MAX_NOTES_BYTES) throw resourceExhausted(`more than ${MAX_NOTES_BYTES} bytes of notes`);
      await file.writeFile(next.value.message.value);
    }
  } finally {
    await file.close();
  }
}
