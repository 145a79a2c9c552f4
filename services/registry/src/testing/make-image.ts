import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { type Pack, pack } from 'tar-stream';

/** A tar with these files, the same bytes each time. */
export async function makeTar(files: Readonly<Record<string, string | Uint8Array>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files))
    archive.entry({ name, mtime: new Date(0) }, Buffer.from(content));
  return await bytesOf(archive);
}

/** Ends a tar and gives its bytes. */
export async function bytesOf(archive: Pack): Promise<Buffer> {
  archive.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of archive as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface MadeImage {
  readonly config: Buffer;
  readonly configDigest: string;
  readonly layers: readonly { readonly bytes: Buffer; readonly digest: string; readonly diffId: string }[];
  readonly manifest: Buffer;
  readonly manifestDigest: string;
  readonly mediaType: string;
}

export interface MakeImageOptions {
  /** One layer each. */
  readonly layers?: readonly Readonly<Record<string, string | Uint8Array>>[];
  readonly architecture?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly created?: string;
  readonly oci?: boolean;
}

/** A small, complete image. */
export async function makeImage(options: MakeImageOptions = {}): Promise<MadeImage> {
  const contents = options.layers ?? [{ 'hello.txt': 'hello' }];
  const layers = [];
  for (const files of contents) {
    const tar = await makeTar(files);
    const bytes = gzipSync(tar, { level: 1 });
    layers.push({ bytes, digest: digestOf(bytes), diffId: digestOf(tar) });
  }
  const config = Buffer.from(
    JSON.stringify({
      architecture: options.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
      os: 'linux',
      created: options.created ?? '2026-01-02T03:04:05Z',
      config: { Cmd: ['/bin/true'], Labels: options.labels ?? {} },
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
      history: layers.map((_layer, i) => ({ created: '2026-01-02T03:04:05Z', created_by: `step ${i}` })),
    }),
  );
  const oci = options.oci === true;
  const mediaType = oci
    ? 'application/vnd.oci.image.manifest.v1+json'
    : 'application/vnd.docker.distribution.manifest.v2+json';
  const configDigest = digestOf(config);
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: {
        mediaType: oci ? 'application/vnd.oci.image.config.v1+json' : 'application/vnd.docker.container.image.v1+json',
        digest: configDigest,
        size: config.length,
      },
      layers: layers.map(({ bytes, digest }) => ({
        mediaType: oci
          ? 'application/vnd.oci.image.layer.v1.tar+gzip'
          : 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        digest,
        size: bytes.length,
      })),
    }),
  );
  return { config, configDigest, layers, manifest, manifestDigest: digestOf(manifest), mediaType };
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** Pushes an image as a client does; answers the status of the manifest's PUT. */
export async function pushImage(base: string, name: string, tag: string, image: MadeImage): Promise<number> {
  for (const bytes of [image.config, ...image.layers.map((layer) => layer.bytes)]) {
    await pushBlob(base, name, bytes);
  }
  const response = await fetch(`${base}/v2/${name}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'Content-Type': image.mediaType },
    body: new Uint8Array(image.manifest),
  });
  await response.body?.cancel();
  return response.status;
}

export async function pushBlob(base: string, name: string, bytes: Uint8Array): Promise<Response> {
  const url = `${base}/v2/${name}/blobs/uploads/?digest=${digestOf(bytes)}`;
  const response = await fetch(url, { method: 'POST', body: new Uint8Array(bytes) });
  await response.body?.cancel();
  return response;
}
