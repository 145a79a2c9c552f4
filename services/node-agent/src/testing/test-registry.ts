import { createHash } from 'node:crypto';
import { notFound } from '@atoll/errors';
import { imageV1 } from '@atoll/proto';
import { GrpcHost, type TlsIdentity } from '@atoll/rpc';

const PIECE = 64 * 1024;

/** A registry's BlobService over real gRPC, its blobs in memory. */
export class TestRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly reads = new Map<string, number>();
  /** Blobs that cannot be read before this resolves. */
  hold: Promise<void> = Promise.resolve();
  /** Comes before each blob is taken. */
  beforeWrite: () => Promise<void> = async () => undefined;
  readonly #host: GrpcHost;

  constructor(tls: TlsIdentity, listen: string) {
    this.#host = new GrpcHost({ listen, tls }).add(
      imageV1.BlobServiceService,
      { readBlob: ['node'], writeBlob: ['node'], statBlob: ['node'] },
      {
        readBlob: (request) => this.#read(request.digest),
        writeBlob: async (requests) => {
          await this.beforeWrite();
          const pieces: Buffer[] = [];
          for await (const { data } of requests) pieces.push(data);
          const blob = Buffer.concat(pieces);
          return { digest: this.put(blob), size: BigInt(blob.length) };
        },
        statBlob: async ({ digest }) => {
          const blob = this.blobs.get(digest);
          return { exists: blob !== undefined, size: BigInt(blob?.length ?? 0) };
        },
      },
    );
  }

  start(): Promise<{ address: string }> {
    return this.#host.start();
  }

  stop(): Promise<void> {
    return this.#host.stop(100);
  }

  put(blob: Buffer): string {
    const digest = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    this.blobs.set(digest, blob);
    return digest;
  }

  async *#read(digest: string): AsyncIterable<imageV1.ReadBlobResponse> {
    await this.hold;
    const blob = this.blobs.get(digest);
    if (!blob) throw notFound(`no blob ${digest}`);
    this.reads.set(digest, (this.reads.get(digest) ?? 0) + 1);
    for (let at = 0; at < blob.length; at += PIECE) {
      yield { size: BigInt(blob.length), data: blob.subarray(at, at + PIECE) };
    }
  }
}
