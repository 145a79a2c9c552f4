import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '@atoll/hosts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureDurable, syncsEachWrite } from './nats-durability.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-durable-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A program that only says a version, as a nats-server of that age would. */
async function serverOf(version: string): Promise<string> {
  const path = join(dir, 'server');
  await writeFile(path, `#!/bin/sh\necho nats-server: v${version}\n`);
  await chmod(path, 0o755);
  return path;
}

/** Tried on a folder of its own: the one under test must not have them yet. */
async function takesFlags(parent: string): Promise<boolean> {
  const probe = await mkdtemp(join(parent, 'probe-'));
  return runCommand('chattr', ['+S', '+D', probe]).then(
    () => true,
    () => false,
  );
}

async function flagsOf(path: string): Promise<string> {
  return (await runCommand('lsattr', ['-d', path])).split(' ')[0] ?? '';
}

describe('durability of the state store', () => {
  test.each([
    ['2.9.10', false],
    ['2.10.0', true],
    ['2.15.1', true],
    ['3.0.0', true],
    ['1.12.0', false],
  ])('version %s syncs each write: %s', (version, want) => {
    expect(syncsEachWrite(version)).toBe(want);
  });

  test('a server that can syncs each write', async () => {
    expect((await ensureDurable(await serverOf('2.10.27'), dir)).mode).toBe('sync');
  });

  test('an older one gets the flags before its store is made, or is refused where they do not hold', async () => {
    const server = await serverOf('2.9.10');
    const old = join(dir, 'left-of-a-newer-server');
    await writeFile(old, '');
    if (await takesFlags(dir)) {
      expect((await ensureDurable(server, dir)).mode).toBe('flags');
      await mkdir(join(dir, 'stream'));
      await writeFile(join(dir, 'stream/1.blk'), '');
      expect(await flagsOf(dir)).toMatch(/S.*D/);
      expect(await flagsOf(join(dir, 'stream'))).toMatch(/S.*D/);
      expect(await flagsOf(join(dir, 'stream/1.blk'))).toContain('S');
      expect(await flagsOf(old)).toContain('S');
    } else {
      await expect(ensureDurable(server, dir)).rejects.toMatchObject({ reason: 'failed-precondition' });
    }
  });

  test('a folder that takes no flags is refused with the way out', async () => {
    await expect(ensureDurable(await serverOf('2.9.10'), '/proc')).rejects.toThrow(/install nats-server 2.10 or newer/);
  });
});
