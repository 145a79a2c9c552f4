import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestHost } from '../testing/test-host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await TestHost.create();
});
afterAll(async () => {
  await host?.dispose();
});

describe('a container from create to remove', () => {
  test('runs its program, and its output is in the log', async () => {
    const record = host.record(['echo', 'hello']);
    const { status, output } = await host.run(record);
    expect(status.exitCode).toBe(0);
    expect(output).toBe('hello\n');
    await host.remove(record);
    expect(await host.leaks()).toEqual([]);
  });
});
