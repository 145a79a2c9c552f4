import type { imageV1 } from '@atoll/proto';
import type { Client } from '@atoll/rpc';

export const NO_USE = { force: false, noPrune: false, inUse: {}, running: [] };

export async function* streamOf<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

/** The message of the error a call ends with. */
export async function failureOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'it worked',
    (error: Error) => error.message,
  );
}

export async function progressOf(
  source: AsyncIterable<{ progress: imageV1.Progress | undefined }>,
): Promise<imageV1.Progress[]> {
  const all: imageV1.Progress[] = [];
  for await (const { progress } of source) if (progress !== undefined) all.push(progress);
  return all;
}

/** Progress as docker prints it without a terminal: transfers in progress are left out. */
export async function printedLines(
  source: AsyncIterable<{ progress: imageV1.Progress | undefined }>,
): Promise<string[]> {
  return (await progressOf(source))
    .filter(({ status }) => status !== 'Downloading' && status !== 'Pushing')
    .map(({ id, status, auxJson }) => [id, status, auxJson].filter(Boolean).join(': '));
}

/** The image verbs as tests want them. */
export class ImageCalls {
  readonly images: Client<imageV1.ImageServiceService>;

  constructor(images: Client<imageV1.ImageServiceService>) {
    this.images = images;
  }

  /** Answers the id of the imported image. */
  async importTar(repository: string, tar: Uint8Array, changes: string[] = []): Promise<string> {
    const start = { repository, tag: '', changes, message: '', platform: '' };
    const lines = await progressOf(
      this.images.importImage(
        streamOf<imageV1.ImportImageRequest>(
          { message: { $case: 'start', value: start } },
          { message: { $case: 'data', value: Buffer.from(tar) } },
        ),
      ),
    );
    return lines.at(-1)?.status ?? '';
  }

  async save(...references: string[]): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const { data } of this.images.saveImages({ references })) chunks.push(data);
    return Buffer.concat(chunks);
  }

  async load(bytes: Uint8Array): Promise<string[]> {
    const lines = await progressOf(this.images.loadImages(streamOf({ data: Buffer.from(bytes) })));
    return lines.map((line) => line.stream).filter(Boolean);
  }

  async resolve(reference: string): Promise<imageV1.Image | undefined> {
    return (await this.images.resolveImage({ reference })).image;
  }

  async removeAll(): Promise<void> {
    const { images } = await this.images.listImages({ all: true, filters: {} });
    for (const { id } of images) {
      await this.images.removeImage({ ...NO_USE, reference: id, force: true }).catch(() => undefined);
    }
  }
}
