import { createHash, hash } from 'node:crypto';
import { notFound, unimplemented } from '@atoll/errors';
import { imageV1 } from '@atoll/proto';
import { formatReference, parseReference, withDefaultTag } from '@atoll/reference';
import { type AllowTable, GrpcHost, type Handlers, type TlsIdentity } from '@atoll/rpc';

/** The registry's gRPC services over memory: real blobs, real digests, the verbs a build uses. */
export class TestRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly images = new Map<string, imageV1.Image>();
  readonly tags = new Map<string, string>();
  /** Images a pull brings, by full reference. */
  readonly upstream = new Map<string, imageV1.CreateImageRequest>();
  readonly host: GrpcHost;
  address = '';
  listings = 0;

  constructor(tls: TlsIdentity) {
    this.host = new GrpcHost({ listen: '127.0.0.1:0', tls })
      .add(imageV1.ImageServiceService, everyone(imageV1.ImageServiceService), this.#images)
      .add(imageV1.BlobServiceService, everyone(imageV1.BlobServiceService), this.#blobs);
  }

  async start(): Promise<void> {
    this.address = (await this.host.start()).address;
  }

  putBlob(bytes: Buffer): string {
    const digest = `sha256:${hash('sha256', bytes)}`;
    this.blobs.set(digest, bytes);
    return digest;
  }

  createImage(request: imageV1.CreateImageRequest): imageV1.Image {
    for (const layer of request.layers) {
      if (!this.blobs.has(layer.digest)) throw notFound(`no such blob: ${layer.digest}`);
    }
    const image = imageV1.Image.fromPartial({
      id: this.putBlob(request.config),
      config: request.config,
      layers: request.layers,
      parent: request.parent,
    });
    this.images.set(image.id, image);
    for (const tag of request.tags) this.tags.set(full(tag), image.id);
    return image;
  }

  find(reference: string): imageV1.Image {
    const id = reference.startsWith('sha256:') ? reference : this.tags.get(full(reference));
    const image = id === undefined ? undefined : this.images.get(id);
    if (!image) throw notFound(`No such image: ${reference}`);
    return image;
  }

  get #images(): Handlers<typeof imageV1.ImageServiceService> {
    const missing = async (): Promise<never> => {
      throw unimplemented('the test registry has no such verb');
    };
    const missingStream = async function* (): AsyncGenerator<never> {
      yield await missing();
    };
    return {
      resolveImage: async ({ reference }) => ({ image: this.find(reference) }),
      createImage: async (request) => ({ image: this.createImage(request) }),
      tagImage: async ({ source, target }) => {
        this.tags.set(full(target), this.find(source).id);
        return {};
      },
      listImages: async () => {
        this.listings++;
        return { images: [...this.images.values()] };
      },
      pullImage: (request) => this.#pull(request.reference),
      identifyImage: missing,
      removeImage: missing,
      imageHistory: missing,
      pruneImages: missing,
      getImageUsage: missing,
      pushImage: missingStream,
      importImage: missingStream,
      loadImages: missingStream,
      saveImages: missingStream,
    };
  }

  async *#pull(reference: string): AsyncGenerator<imageV1.PullImageResponse> {
    const offer = this.upstream.get(full(reference));
    if (!offer) {
      throw notFound(
        `pull access denied for ${reference}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
      );
    }
    yield imageV1.PullImageResponse.fromPartial({ progress: { status: `Pulling from ${reference}`, id: 'latest' } });
    this.createImage(offer);
  }

  get #blobs(): Handlers<typeof imageV1.BlobServiceService> {
    return {
      statBlob: async ({ digest }) => {
        const blob = this.blobs.get(digest);
        return { exists: blob !== undefined, size: BigInt(blob?.length ?? 0) };
      },
      writeBlob: async (requests) => {
        const parts: Buffer[] = [];
        for await (const { data } of requests) parts.push(data);
        const bytes = Buffer.concat(parts);
        return { digest: this.putBlob(bytes), size: BigInt(bytes.length) };
      },
      readBlob: (request) => this.#read(request.digest),
    };
  }

  async *#read(digest: string): AsyncGenerator<imageV1.ReadBlobResponse> {
    const blob = this.blobs.get(digest);
    if (!blob) throw notFound(`no such blob: ${digest}`);
    for (let at = 0; at === 0 || at < blob.length; at += 256 * 1024) {
      yield { size: BigInt(blob.length), data: blob.subarray(at, at + 256 * 1024) };
    }
  }
}

export function everyone<D extends object>(definition: D): AllowTable<D> {
  return Object.fromEntries(
    Object.keys(definition).map((method) => [method, ['image-builder', 'node', 'gateway']]),
  ) as unknown as AllowTable<D>;
}

function full(reference: string): string {
  return formatReference(withDefaultTag(parseReference(reference)));
}

/** SHA-256 with its algorithm, of a stream. */
export async function digestOf(bytes: AsyncIterable<Buffer>): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of bytes) sum.update(chunk);
  return `sha256:${sum.digest('hex')}`;
}
