import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameSession } from './frame-session.ts';
import { launchShim } from './launch-shim.ts';
import { ShimSpawner } from './shim-spawner.ts';
import { TestHost, waitGone } from './testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

/** The parent of the shim that prepared a container. */
async function spawnerOf(shimPid: number): Promise<number> {
  const stat = await readFile(`/proc/${shimPid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

async function launched(spawner: ShimSpawner, name: string) {
  const bundle = await host.bundle();
  const plan = host.plan(bundle, ['sleep', '600']);
  const files = [{ name, mode: 0o640, bytes: Buffer.from('hello') }];
  const container = await launchShim(spawner, { bundle, files, plan }, () => {}, host.signal);
  await container.client.start(host.signal);
  return { ...container, bundle };
}

async function end({ client }: Awaited<ReturnType<typeof launched>>): Promise<void> {
  await client.kill(9, 'init', host.signal);
  await client.closed;
}

describe('the spawner of shims', () => {
  it('writes the files of a bundle, and shows in the process list whose shim it is', async () => {
    const container = await launched(host.spawner, 'note');
    expect(await readFile(join(container.bundle, 'note'), 'utf8')).toBe('hello');
    const title = (await readFile(`/proc/${container.shim.pid}/cmdline`, 'utf8')).replaceAll('\0', '');
    expect(title).toBe(`atoll-shim run ${container.bundle}`);
    await end(container);
  });

  it.each(['', '.hidden', 'a/b', '..'])('refuses the file name %j', async (name) => {
    await expect(launched(host.spawner, name)).rejects.toMatchObject({ details: { step: 'write bundle' } });
  });

  it('is started again when it was killed, and its containers go on', async () => {
    const spawner = await ShimSpawner.start(host.shim, join(host.folder, 'killed'));
    const first = await launched(spawner, 'note');
    const pid = await spawnerOf(first.shim.pid);
    process.kill(pid, 'SIGKILL');
    await waitGone(pid);
    await expect.poll(() => launched(spawner, 'note').then(end)).toBeUndefined();
    expect(await first.client.state(host.signal)).toMatchObject({ status: 'running' });
    await end(first);
    await spawner.close();
  });

  it('ends when it is closed, and its containers go on', async () => {
    const spawner = await ShimSpawner.start(host.shim, join(host.folder, 'closed'));
    const container = await launched(spawner, 'note');
    const pid = await spawnerOf(container.shim.pid);
    await spawner.close();
    await waitGone(pid);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await expect(spawner.connect(host.signal)).rejects.toMatchObject({ reason: 'unavailable' });
    expect(await container.client.state(host.signal)).toMatchObject({ status: 'running' });
    await end(container);
  });

  it('answers a first frame that it does not know with an error', async () => {
    const session = new FrameSession(await host.spawner.connect(host.signal));
    await session.send(99);
    await expect(session.expectReply(99, 'ask')).rejects.toMatchObject({ details: { step: 'arguments' } });
    session.close();
  });

  it('says why it cannot start', async () => {
    await mkdir(join(host.folder, 'open'), { mode: 0o755 });
    await expect(ShimSpawner.start(host.shim, join(host.folder, 'open'))).rejects.toThrow('must be owned by this user');
    await expect(ShimSpawner.start('/nothing', join(host.folder, 'closed'))).rejects.toThrow('cannot run the shim');
  });
});

describe('the removal of a folder', () => {
  it('removes thousands of levels', async () => {
    const top = join(host.folder, 'deep');
    await mkdir(top);
    const before = process.cwd();
    process.chdir(top);
    try {
      for (let level = 0; level < 3000; level++) {
        await mkdir('d');
        if (level % 100 === 0) await writeFile('file', '');
        process.chdir('d');
      }
    } finally {
      process.chdir(before);
    }
    await host.spawner.removeTree(top, host.signal);
    expect(existsSync(top)).toBe(false);
  });

  it('follows no link, and takes a missing one for done', async () => {
    const kept = join(host.folder, 'kept');
    await mkdir(kept);
    await writeFile(join(kept, 'file'), 'here');
    const top = join(host.folder, 'links');
    await mkdir(top);
    await symlink(kept, join(top, 'link'));
    await host.spawner.removeTree(top, host.signal);
    await host.spawner.removeTree(top, host.signal);
    expect(await readFile(join(kept, 'file'), 'utf8')).toBe('here');
  });
});
