import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, waitUntil } from '@atoll/hosts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SupervisedService } from './supervised-service.ts';

let dir: string;
let service: SupervisedService | undefined;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atoll-supervised-'));
});
afterEach(async () => {
  await service?.stop(1000);
  await rm(dir, { recursive: true, force: true });
});

const ready = (pid: number) => readFile(join(dir, 'ready'), 'utf8').then((text) => text === String(pid), () => false); // biome-ignore format: short

function supervise(script: string, readyTimeoutMs = 10_000): SupervisedService {
  service = new SupervisedService(
    {
      name: 'trial',
      logFile: join(dir, 'trial.log'),
      readyTimeoutMs,
      launch: async (log) => spawn('sh', ['-c', script], { stdio: ['ignore', log, log], cwd: dir }),
      isReady: ready,
    },
    () => undefined,
  );
  return service;
}

const BECOME_READY = 'printf %s $$ >ready; exec sleep 1000';

describe('a supervised service', () => {
  test('is started again after it died, and stays down after stop', async () => {
    const trial = supervise(BECOME_READY);
    await trial.start();
    const first = trial.process;
    trial.kill();
    await waitUntil(() => trial.ready && trial.process?.pid !== first?.pid, {
      what: 'a new process',
      timeoutMs: 10_000,
    });
    expect(trial.restarts).toBe(1);
    const second = trial.process;
    if (!first || !second) throw new Error('no process');
    expect(await isAlive(first)).toBe(false);
    await trial.stop(1000);
    expect(await isAlive(second)).toBe(false);
    expect(trial.ready).toBe(false);
  });

  test('a restart that fails is tried again', async () => {
    await writeFile(join(dir, 'starts'), '');
    const trial = supervise(`printf x >>starts; [ $(wc -c <starts) -ne 2 ] || exit 7; ${BECOME_READY}`);
    await trial.start();
    trial.kill();
    await waitUntil(() => trial.ready && trial.restarts === 2, { what: 'the second restart', timeoutMs: 15_000 });
    expect(await readFile(join(dir, 'starts'), 'utf8')).toBe('xxx');
  });

  test.each([
    [
      'a fatal log line with its cause',
      `echo '{"level":60,"msg":"the service cannot start","err":{"message":"no disk"}}'; exit 1`,
      /the service cannot start: no disk/,
    ],
    [
      'a stack trace',
      `printf 'file.js:1\\nTypeError: x is not a function\\n    at y\\n\\nNode.js v24\\n'; exit 1`,
      /TypeError: x is not a function/,
    ],
    ['plain words', 'echo address in use; exit 1', /address in use/],
    ['nothing', 'exit 1', /wrote nothing/],
  ])('the failure of a start says why: %s', async (_name, script, message) => {
    await expect(supervise(script).start()).rejects.toThrow(message);
  });

  test('one that never becomes ready is ended', async () => {
    const trial = supervise('exec sleep 1000', 300);
    await expect(trial.start()).rejects.toMatchObject({ reason: 'deadline-exceeded' });
    const identity = trial.process;
    if (identity) await waitUntil(async () => !(await isAlive(identity)), { what: 'its end', timeoutMs: 5000 });
  });

  test('one that ignores SIGTERM is killed after its time', async () => {
    const trial = supervise(`trap '' TERM; printf %s $$ >ready; while :; do sleep 0.1; done`);
    await trial.start();
    const identity = trial.process;
    await trial.stop(200);
    if (!identity) throw new Error('no process');
    expect(await isAlive(identity)).toBe(false);
  });
});
