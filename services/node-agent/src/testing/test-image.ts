import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { containerV1 } from '@atoll/proto';
import { busyboxPath } from '../runtime/testing/shim-binary.ts';
import type { TestRegistry } from './test-registry.ts';

/** Stores a layer in the registry: what `fill` puts into a folder, as a gzip tar. */
export async function testLayer(
  registry: TestRegistry,
  fill: (folder: string) => Promise<void>,
): Promise<containerV1.Layer> {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-image-'));
  try {
    await fill(folder);
    const tar = execFileSync(
      'tar',
      ['-C', folder, '--sort=name', '--numeric-owner', '--owner=0', '--group=0', '-cf', '-', '.'],
      {
        maxBuffer: 64 << 20,
      },
    );
    const blob = gzipSync(tar, { level: 1 });
    return containerV1.Layer.fromPartial({
      digest: registry.put(blob),
      diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}`,
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      size: BigInt(blob.length),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The layer of a small image with every applet of busybox. */
export function busyboxLayer(registry: TestRegistry): Promise<containerV1.Layer> {
  return testLayer(registry, async (folder) => {
    for (const name of ['bin', 'etc', 'tmp', 'data', 'home/ann']) await mkdir(join(folder, name), { recursive: true });
    await copyFile(busyboxPath(), join(folder, 'bin/busybox'));
    await chmod(join(folder, 'bin/busybox'), 0o755);
    const applets = execFileSync(busyboxPath(), ['--list'], { encoding: 'utf8' }).trim().split('\n');
    for (const name of applets) if (name !== 'busybox') await symlink('busybox', join(folder, 'bin', name));
    await writeFile(
      join(folder, 'etc/passwd'),
      'root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n',
    );
    await writeFile(join(folder, 'etc/group'), 'root:x:0:\nann:x:1001:\naudio:x:29:ann\nvideo:x:44:\n');
    await writeFile(join(folder, 'data/seed'), 'seed\n');
    await writeFile(join(folder, 'etc/noexec'), 'not a program\n', { mode: 0o644 });
  });
}
