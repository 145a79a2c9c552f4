import { writeSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ServiceLog } from './service-log.ts';

let dir: string;
let log: ServiceLog;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-log-'));
  log = new ServiceLog(join(dir, 'logs', 'service.log'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = (text: string) => log.withDescriptor(async (fd) => void writeSync(fd, text));

test('what an earlier process said is not taken for the words of this one', async () => {
  await write('{"level":60,"msg":"no disk"}\n');
  expect(await log.lastWords()).toBe('no disk');
  await write('');
  expect(await log.lastWords()).toMatch(/wrote nothing/);
  await write(
    '{"level":30,"msg":"ready"}\n{"level":50,"msg":"late","err":{"message":"no network"}}\n{"level":30,"msg":"x"}\n',
  );
  expect(await log.lastWords()).toBe('late: no network');
});

test('a log that grew large is set aside at the next start, and cut while it runs', async () => {
  await write('x'.repeat(5 << 20));
  await write('new\n');
  expect((await stat(`${log.path}.1`)).size).toBe(5 << 20);
  expect((await stat(log.path)).size).toBe(4);
  await write('y'.repeat(17 << 20));
  await log.limit();
  expect((await stat(log.path)).size).toBe(0);
});
