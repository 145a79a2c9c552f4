import { createHash } from 'node:crypto';
import { notFound } from '@atoll/errors';
import { buildV1, imageV1 } from '@atoll/proto';
import type { Handlers } from '@atoll/rpc';

/** An image store in memory; images have no layers worth the name. */
export class FakeStore {
  readonly images = new Map<string, imageV1.Image>();
  readonly pulled: imageV1.PullImageRequest[] = [];
  readonly created: imageV1.CreateImageRequest[] = [];
  received = 0;
  /** How often an image was asked for whole. */
  resolved = 0;

  add(tag: string, config: object): imageV1.Image {
    const text = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', ...config }));
    const id = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    const layers = [{ digest: id, diffId: id, mediaType: '', size: 100n }];
    const image = imageV1.Image.fromPartial({
      id,
      repoTags: [tag],
      size: 100n,
      createdAt: 1_700_000_000n,
      config: text,
      layers,
    });
    this.images.set(tag, image);
    return image;
  }

  find(reference: string): imageV1.Image {
    const tagged = /:[\w.-]+$/.test(reference) ? reference : `${reference}:latest`;
    const found =
      this.images.get(tagged) ??
      [...this.images.values()].find((image) => image.id === reference || image.id.startsWith(`sha256:${reference}`));
    if (found === undefined) throw notFound(`no image ${reference}`);
    return found;
  }

  readonly handlers: Handlers<imageV1.ImageServiceService> = {
    resolveImage: async ({ reference }) => {
      this.resolved++;
      return { image: this.find(reference) };
    },
    identifyImage: async ({ reference }) => {
      const { id, manifestDigest } = this.find(reference);
      return { id, manifestDigest };
    },
    listImages: async () => ({ images: [...this.images.values()] }),
    tagImage: async ({ source, target }) => {
      const image = this.find(source);
      this.images.set(target.replace('docker.io/library/', ''), image);
      return {};
    },
    removeImage: async ({ reference }) => {
      const image = this.find(reference);
      for (const [tag, held] of this.images) if (held.id === image.id) this.images.delete(tag);
      return {
        removed: [
          { untagged: reference, deleted: '' },
          { untagged: '', deleted: image.id },
        ],
      };
    },
    imageHistory: async ({ reference }) => ({
      entries: [
        { id: this.find(reference).id, created: 1n, createdBy: 'CMD', tags: [reference], size: 0n, comment: '' },
      ],
    }),
    pullImage: (request) => this.#pull(request),
    pushImage: (request) => this.#push(request),
    importImage: (requests) => this.#import(requests),
    loadImages: (requests) => this.#load(requests),
    saveImages: (request) => this.#save(request),
    pruneImages: async () => ({ removed: [], reclaimed: 5n }),
    getImageUsage: async () => ({ blobBytes: 100n, images: [...this.images.values()] }),
    createImage: async (request) => {
      this.created.push(request);
      const image = this.add(request.tags[0] ?? `<none>:${this.created.length}`, JSON.parse(request.config.toString()));
      image.layers = request.layers;
      return { image };
    },
  };

  readonly builder: Handlers<buildV1.BuildServiceService> = {
    build: (requests) => this.#build(requests),
    pruneBuildCache: async () => ({ removed: ['a'], reclaimed: 9n }),
  };

  async *#pull(request: imageV1.PullImageRequest): AsyncGenerator<imageV1.PullImageResponse> {
    this.pulled.push(request);
    if (request.reference.includes('missing')) throw notFound(`manifest for ${request.reference} not found`);
    yield progress({ status: `Pulling from ${request.reference}`, id: 'latest' });
    if (request.reference.includes('broken')) throw notFound('blob unknown');
    yield progress({ status: 'Downloading', id: 'abc', current: 1n, total: 2n });
    this.add(request.reference, { config: { Cmd: ['true'] } });
    yield progress({ status: `Status: Downloaded newer image for ${request.reference}` });
  }

  async *#push(request: imageV1.PushImageRequest): AsyncGenerator<imageV1.PushImageResponse> {
    this.find(request.reference);
    yield progress({ status: 'Pushed', id: 'abc', auxJson: JSON.stringify({ user: request.auth?.username }) });
  }

  async *#import(requests: AsyncIterable<imageV1.ImportImageRequest>): AsyncGenerator<imageV1.ImportImageResponse> {
    let name = '';
    for await (const { message } of requests) {
      if (message?.$case === 'start') name = `${message.value.repository}:${message.value.tag || 'latest'}`;
      else if (message?.$case === 'data') this.received += message.value.length;
    }
    yield progress({ status: this.add(name, { config: { Cmd: ['true'] } }).id });
  }

  async *#load(requests: AsyncIterable<imageV1.LoadImagesRequest>): AsyncGenerator<imageV1.LoadImagesResponse> {
    for await (const { data } of requests) this.received += data.length;
    yield progress({ stream: 'Loaded image: busybox:latest\n' });
  }

  async *#save({ references }: imageV1.SaveImagesRequest): AsyncGenerator<imageV1.SaveImagesResponse> {
    for (const reference of references) yield { data: Buffer.from(this.find(reference).id) };
  }

  async *#build(requests: AsyncIterable<buildV1.BuildRequest>): AsyncGenerator<buildV1.BuildResponse> {
    let options = buildV1.BuildOptions.fromPartial({});
    for await (const { message } of requests) {
      if (message?.$case === 'options') options = message.value;
      else if (message?.$case === 'context') this.received += message.value.length;
    }
    if (!options.quiet) yield { message: { $case: 'stream', value: 'Step 1/1 : FROM busybox\n' } };
    if (options.target === 'broken') {
      yield { message: { $case: 'failure', value: { message: 'it failed', code: 3, line: 1 } } };
      return;
    }
    yield { message: { $case: 'imageId', value: this.add(options.tags[0] ?? 'built:latest', {}).id } };
  }
}

function progress(part: Partial<imageV1.Progress>): { progress: imageV1.Progress } {
  return { progress: imageV1.Progress.fromPartial(part) };
}
