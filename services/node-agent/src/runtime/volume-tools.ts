import { Readable } from 'node:stream';
import { z } from 'zod';
import { runShim } from './shim-process.ts';
import type { UnpackLimits } from './shim-tools.ts';
import { streamShim } from './stream-shim.ts';

const UNPACKED = z.object({ sha256: z.string(), archiveBytes: z.number(), entries: z.number(), manifest: z.string() });

/** `sha256` (hex) is that of the archive before its digest, `archiveBytes` their number; `manifest` is its first member. */
export type UnpackedVolume = z.infer<typeof UNPACKED>;

export interface PackVolumeOptions {
  /** What the archive begins with. */
  readonly head?: Buffer | undefined;
  /** File of the notes that a reader has which keeps what it receives: what they still fit becomes a reference to that. */
  readonly unlessNoted?: string | undefined;
  /** All files become references to themselves. */
  readonly byReference?: boolean | undefined;
}

export interface UnpackVolumeOptions extends UnpackLimits {
  /** The earlier copy, as a folder; its files are linked, or copied with `copy`. */
  readonly earlier?: string | undefined;
  readonly copy?: boolean | undefined;
  /** In place of `earlier`: the folder that keeps what is received, and has what was before. */
  readonly keep?: string | undefined;
}

/** The shim's tools for archives of volumes. A wrong archive is `invalid-argument`; details hold the failing step and errno. */
export class VolumeTools {
  readonly #shim: string;

  constructor(shim: string) {
    this.#shim = shim;
  }

  /** The members of a folder's tree, named `data/…`, without an end mark. */
  pack(folder: string, options: PackVolumeOptions, signal: AbortSignal): Readable {
    const args = ['volume-pack', folder];
    if (options.unlessNoted !== undefined) args.push('--unless-noted', options.unlessNoted);
    if (options.byReference) args.push('--by-reference');
    return streamShim(this.#shim, args, signal, options.head);
  }

  /** Unpacks an uncompressed archive as `data` into an empty folder, checks its digest and syncs it to disk. */
  async unpack(
    folder: string,
    archive: AsyncIterable<Uint8Array>,
    options: UnpackVolumeOptions,
    signal: AbortSignal,
  ): Promise<UnpackedVolume> {
    const args = ['volume-unpack', folder];
    if (options.earlier !== undefined) args.push('--base', options.earlier);
    if (options.copy) args.push('--copy');
    if (options.keep !== undefined) args.push('--keep', options.keep);
    if (options.maxBytes !== undefined) args.push('--max-bytes', String(options.maxBytes));
    if (options.maxEntries !== undefined) args.push('--max-entries', String(options.maxEntries));
    const input = Readable.from(archive, { objectMode: false });
    const output = await runShim(this.#shim, args, signal, { input, maxOutput: 256 * 1024 });
    return UNPACKED.parse(JSON.parse(output));
  }

  /** Renames a folder to its place, durably. With `replace` what is there is afterwards where the folder was. */
  async place(folder: string, place: string, replace: boolean, signal: AbortSignal): Promise<void> {
    await runShim(this.#shim, ['volume-place', folder, place, ...(replace ? ['--replace'] : [])], signal);
  }
}
