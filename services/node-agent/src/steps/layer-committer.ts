import { readdir } from 'node:fs/promises';
import { createGzip } from 'node:zlib';
import { containerV1 } from '@atoll/proto';
import type { UpperReader } from '../archive/root-filesystem.ts';
import type { BlobWriter } from '../images/blob-store.ts';
import { Hashed } from '../images/hashed.ts';
import type { LayerStore } from '../images/layer-store.ts';
import { through } from '../images/through.ts';
import { failpoint } from '../processes/failpoint.ts';

const MEDIA_TYPE = 'application/vnd.oci.image.layer.v1.tar+gzip';
/** The least that helps: a step waits for it. */
const GZIP_LEVEL = 1;

export interface LayerCommitterOptions {
  readonly filesystem: UpperReader;
  readonly blobs: BlobWriter;
  readonly layers: LayerStore;
}

interface Captured {
  readonly layer: containerV1.Layer;
  /** Bytes of the uncompressed tar. */
  readonly size: number;
}

/** Makes layers of what build steps and containers have written: blobs in the image store. */
export class LayerCommitter {
  readonly #options: LayerCommitterOptions;

  constructor(options: LayerCommitterOptions) {
    this.#options = options;
  }

  /**
   * The layer of a build step, also as a folder of this host; undefined when nothing was written. Takes the folder away. Entries
   * newer than the epoch (0 = none) get its time.
   */
  async commit(upper: string, sourceDateEpoch: bigint, signal: AbortSignal): Promise<containerV1.Layer | undefined> {
    const captured = await this.#capture(upper, sourceDateEpoch, signal);
    // The folder itself is the layer from now on: the next step needs no unpacking here.
    if (!captured) return undefined;
    await this.#options.layers.adopt(upper, captured.layer.diffId, captured.size);
    failpoint('commit.2-adopted');
    return captured.layer;
  }

  /** The layer of a folder that goes on being a container's; undefined when nothing was written. */
  async capture(upper: string, signal: AbortSignal): Promise<containerV1.Layer | undefined> {
    return (await this.#capture(upper, 0n, signal))?.layer;
  }

  async #capture(upper: string, sourceDateEpoch: bigint, signal: AbortSignal): Promise<Captured | undefined> {
    if ((await readdir(upper)).length === 0) return undefined;
    const { filesystem, blobs } = this.#options;
    const tar = new Hashed(filesystem.diff(upper, Number(sourceDateEpoch), signal));
    const blob = new Hashed(through(tar, createGzip({ level: GZIP_LEVEL })));
    const stored = await blobs.write(blob, signal);
    failpoint('commit.1-stored');
    blob.verify(stored.digest, 'the layer as the image store has it');
    const layer = { digest: stored.digest, diffId: tar.digest, mediaType: MEDIA_TYPE, size: BigInt(stored.size) };
    return { layer: containerV1.Layer.fromPartial(layer), size: tar.size };
  }
}
