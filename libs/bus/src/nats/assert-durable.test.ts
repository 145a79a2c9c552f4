import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { assertDurable } from './assert-durable.ts';

const server = (version: string) => ({ serverVersion: () => version });

test.each([
  ['sync_interval on 2.10', '2.10.27', 'sync', true],
  ['sync_interval on 2.15', '2.15.1', 'sync', true],
  ['sync_interval on 3.0', '3.0.0', 'sync', true],
  ['sync_interval on 2.9, which does not know it', '2.9.10', 'sync', false],
  ['nothing said', '2.15.1', undefined, false],
  ['flags without a folder', '2.9.10', 'flags', false],
] as const)('%s', async (_name, version, mode, durable) => {
  const asserted = assertDurable(server(version), { mode });
  if (durable) await expect(asserted).resolves.toBeUndefined();
  else
    await expect(asserted).rejects.toMatchObject({
      reason: 'failed-precondition',
      message: expect.stringContaining('power cut'),
    });
});

test('a folder without the flags is refused with the command that sets them', async () => {
  const storeDir = await mkdtemp(join(tmpdir(), 'atoll-flags-'));
  await expect(assertDurable(server('2.9.10'), { mode: 'flags', storeDir })).rejects.toMatchObject({
    reason: 'failed-precondition',
    message: expect.stringMatching(/chattr|inode flags/),
  });
  await rm(storeDir, { recursive: true });
});

test('a folder with the flags is durable; a file system that takes none is refused', async () => {
  const storeDir = await mkdtemp(join(tmpdir(), 'atoll-flags-'));
  try {
    const set = await promisify(execFile)('chattr', ['+S', '+D', storeDir]).then(
      () => true,
      () => false,
    );
    const asserted = assertDurable(server('2.9.10'), { mode: 'flags', storeDir });
    if (set) await expect(asserted).resolves.toBeUndefined();
    else await expect(asserted).rejects.toMatchObject({ reason: 'failed-precondition' });
  } finally {
    await rm(storeDir, { recursive: true });
  }
});
