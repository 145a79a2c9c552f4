import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { pathsOf } from './command-context.ts';

test('the data root is the named one, else where the cluster of that name has its data, else the usual', async () => {
  const name = `test-${randomBytes(4).toString('hex')}`;
  const { runDir, stateFile, dataRoot } = pathsOf({ name });
  expect(dataRoot).toBe(`/var/lib/atoll-${name}`);
  await mkdir(runDir, { recursive: true });
  try {
    await writeFile(stateFile, JSON.stringify({ dataRoot: '/srv/elsewhere' }));
    expect(pathsOf({ name }).dataRoot).toBe('/srv/elsewhere');
    expect(pathsOf({ name, dataRoot: '/srv/named' }).dataRoot).toBe('/srv/named');
    await writeFile(stateFile, 'half a fi');
    expect(pathsOf({ name }).dataRoot).toBe(`/var/lib/atoll-${name}`);
  } finally {
    await rm(runDir, { recursive: true });
  }
});
