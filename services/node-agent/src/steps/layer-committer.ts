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

/** Makes a layer of what a build step has written: a blob in the image store and a folder of this host. */
export class LayerCommitter {
  readonly #options: LayerCommitterOptions;

  constructor(options: LayerCommitterOptions) {
    this.#options = options;
  }

  /** Undefined when nothing was written. Takes the folder away. Entries newer than the epoch (0 = none) get its time. */
  async commit(upper: string, sourceDateEpoch: bigint, signal: AbortSignal): Promise<containerV1.Layer | undefined> {
    if ((await readdir(upper)).length === 0) return undefined;
    const { filesystem, blobs, layers } = this.#options;
    const tar = new Hashed(filesystem.diff(upper, Number(sourceDateEpoch), signal));
    const blob = new Hashed(through(tar, createGzip({ level: GZIP_LEVEL })));
    const stored = await blobs.write(blob, signal);
    failpoint('commit.1-stored');
    blob.verify(stored.digest, 'the layer as the image store has it');
    const layer = { digest: stored.digest, diffId: tar.digest, mediaType: MEDIA_TYPE, size: BigInt(stored.size) };
    // The folder itself is the layer from now on: the next step needs no unpacking here.
    await layers.adopt(upper, layer.diffId, tar.size);
    failpoint('commit.2-adopted');
    return containerV1.Layer.fromPartial(layer);
  }
}
