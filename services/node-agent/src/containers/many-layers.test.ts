import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { containerV1 } from '@atoll/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';
import { testLayer } from '../testing/test-image.ts';

let host: TestHost;
let layers: containerV1.Layer[];
beforeAll(async () => {
  host = await TestHost.create();
  layers = await Promise.all(
    Array.from({ length: 127 }, (_, index) =>
      testLayer(host.registry, (folder) => writeFile(join(folder, `f${index}`), String(index))),
    ),
  );
}, 60_000);
afterAll(async () => {
  await host?.dispose();
});

describe('I14: images of many layers', { timeout: 60_000 }, () => {
  const record = (own: readonly containerV1.Layer[]) =>
    host.record(['sh', '-c', 'ls / | grep -c ^f; cat /f0'], { image: { layers: [...own] } });

  test('127 are mounted', async () => {
    const most = record([host.layer, ...layers.slice(0, 126)]);
    expect((await host.run(most)).output).toBe('126\n0');
    await host.remove(most);
  });

  test('128 are refused, with a reason', async () => {
    const more = record([host.layer, ...layers]);
    await host.ensure(more);
    await expect(host.start(more)).rejects.toMatchObject({
      reason: 'invalid-argument',
      message: expect.stringContaining('more than 127 layers'),
    });
    await host.remove(more);
  });

  test('the same one many times is one', async () => {
    const [one = layers[0]] = layers;
    const again = record([host.layer, ...Array.from({ length: 200 }, () => one as containerV1.Layer)]);
    expect((await host.run(again)).output).toBe('1\n0');
    await host.remove(again);
  });

  test('none at all: there is no program', async () => {
    const empty = record([]);
    await host.ensure(empty);
    await expect(host.start(empty)).rejects.toThrow(/not found|no such file|layers/);
    await host.remove(empty);
  });
});
