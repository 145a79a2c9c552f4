import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultMounts } from './default-mounts.ts';
import type { PreparedContainer } from './launch-shim.ts';
import { ShimClient } from './shim-client.ts';
import { type RootSpec, ShimTools } from './shim-tools.ts';
import { buildTar } from './testing/tar-builder.ts';
import { type PlanChanges, TestHost } from './testing/test-host.ts';

let host: TestHost;
let tools: ShimTools;
beforeAll(async () => {
  host = await TestHost.create();
  tools = new ShimTools(host.shim);
});
afterAll(async () => {
  const left = await host.leftovers();
  await host[Symbol.asyncDispose]();
  expect(left).toEqual([]);
});

async function withContainer(
  argv: readonly string[],
  changes: PlanChanges,
  body: (container: PreparedContainer, bundle: string) => Promise<void>,
): Promise<string> {
  const bundle = await host.bundle();
  const container = await host.launch(bundle, host.plan(bundle, argv, changes));
  using client = await ShimClient.connect(bundle, () => {}, host.signal);
  await client.start(host.signal);
  try {
    await body(container, bundle);
  } finally {
    await client.kill(9, 'init', host.signal);
    await client.closed;
  }
  return bundle;
}

const textOf = async (root: RootSpec, path: string): Promise<string> =>
  execFileSync('tar', ['-xOf', '-'], {
    input: await buffer(tools.getArchive(root, path, host.signal)),
    encoding: 'utf8',
  });

async function volume(name: string): Promise<PlanChanges> {
  const source = join(host.folder, name);
  await mkdir(source);
  await writeFile(join(source, 'inside'), 'volume');
  const bind = { kind: 'bind', source, target: '/vol', flags: [], recursive: true, propagation: 'rprivate' } as const;
  return { plan: { mounts: [...defaultMounts({ privileged: false, shmBytes: 1 << 20 }), bind] } };
}

describe("a container's files", () => {
  it('are read and written while it runs, volumes and tmpfs included', async () => {
    await withContainer(
      ['sh', '-c', 'echo shm > /dev/shm/f; echo up > /f; sleep 60'],
      await volume('vol-run'),
      async ({ init }) => {
        const root: RootSpec = { kind: 'process', process: init };
        await expect.poll(() => textOf(root, '/f').catch(() => '')).toBe('up\n');
        expect(await textOf(root, '/dev/shm/f')).toBe('shm\n');
        expect(await textOf(root, '/vol/inside')).toBe('volume');
        await tools.putArchive(
          root,
          '/vol',
          Readable.from([buildTar([{ name: 'put', content: 'new' }])]),
          {},
          host.signal,
        );
        expect(await tools.resolveUser(root, 'ann', host.signal)).toEqual({ uid: 1000, gid: 1001 });
      },
    );
    expect(await readFile(join(host.folder, 'vol-run', 'put'), 'utf8')).toBe('new');
  });

  it('are read and written when it does not run, volumes included', async () => {
    const bundle = await withContainer(
      ['sh', '-c', 'echo up > /f; sleep 60'],
      await volume('vol-stop'),
      async ({ init }) => {
        await expect.poll(() => textOf({ kind: 'process', process: init }, '/f').catch(() => '')).toBe('up\n');
      },
    );
    const root: RootSpec = { kind: 'bundle', path: bundle };
    expect(await textOf(root, '/f')).toBe('up\n');
    expect(await textOf(root, '/vol/inside')).toBe('volume');
    await tools.putArchive(root, '/etc', Readable.from([buildTar([{ name: 'put', content: 'new' }])]), {}, host.signal);
    expect(await readFile(join(bundle, 'upper/etc/put'), 'utf8')).toBe('new');
    expect((await readdir(bundle)).sort()).toEqual(['exit', 'log', 'plan', 'upper', 'work']);
  });

  it('stay inside the root while the container swaps folders for links', async () => {
    const canary = join(host.folder, 'canary');
    await mkdir(canary);
    await writeFile(join(canary, 'secret'), 'canary');
    const swap = `mkdir -p /d/x; echo mine > /d/x/secret; ln -s ${canary} /d/l; cd /d; while :; do mv -T x y; mv -T l x; usleep 500; mv -T x l; mv -T y x; usleep 500; done`;
    await withContainer(['sh', '-c', swap], {}, async ({ init }) => {
      const root: RootSpec = { kind: 'process', process: init };
      const outcomes = new Set<string>();
      for (let round = 0; round < 20; round++) {
        outcomes.add(await textOf(root, '/d/x/secret').catch(() => 'refused'));
        await tools
          .putArchive(root, '/d/x', Readable.from([buildTar([{ name: 'planted', content: 'p' }])]), {}, host.signal)
          .catch(() => {});
      }
      expect(outcomes).not.toContain('canary');
      expect([...outcomes].every((text) => text === 'mine\n' || text === 'refused')).toBe(true);
    });
    expect(await readdir(canary)).toEqual(['secret']);
  }, 90_000);
});
