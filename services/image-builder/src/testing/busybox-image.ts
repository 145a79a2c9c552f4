import { readFileSync } from 'node:fs';
import { imageV1 } from '@atoll/proto';
import { type Described, tarOf } from './tar-of.ts';
import type { TestRegistry } from './test-registry.ts';

const APPLETS = 'sh cat echo mkdir ls sleep touch true false printf id env rm stat pwd chmod ln find sort head';

export interface BaseImageOptions {
  readonly tag: string;
  readonly config?: object;
  readonly files?: Readonly<Record<string, Described>>;
}

/** An image of the machine's static busybox and some files, in the test registry. */
export function baseImage(registry: TestRegistry, options: BaseImageOptions): imageV1.CreateImageRequest {
  const links = APPLETS.split(' ').map((name) => [`bin/${name}`, { type: 'symlink', linkname: 'busybox' }] as const);
  const tar = tarOf({
    'bin/': '',
    'bin/busybox': { content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...Object.fromEntries(links),
    'etc/': '',
    'tmp/': { mode: 0o1777 },
    ...options.files,
  });
  const digest = registry.putBlob(tar);
  const config = {
    architecture: 'amd64',
    os: 'linux',
    created: '2026-01-01T00:00:00Z',
    config: { Cmd: ['sh'], ...options.config },
    rootfs: { type: 'layers', diff_ids: [digest] },
    history: [{ created: '2026-01-01T00:00:00Z', created_by: 'ADD busybox' }],
  };
  return imageV1.CreateImageRequest.fromPartial({
    config: Buffer.from(JSON.stringify(config)),
    layers: [{ digest, diffId: digest, mediaType: 'application/vnd.oci.image.layer.v1.tar', size: BigInt(tar.length) }],
    tags: [options.tag],
  });
}
