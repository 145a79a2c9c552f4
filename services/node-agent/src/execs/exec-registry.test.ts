import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runtimeV1 } from '@atoll/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ProcessSession } from '../runtime/process-session.ts';
import { ExecRegistry } from './exec-registry.ts';

const SPEC = runtimeV1.ExecSpec.fromPartial({
  argv: ['sh', '-c', 'true'],
  env: ['PASSWORD=secret'],
  user: 'www',
  tty: true,
});
const SESSION = {} as ProcessSession;

let root: string;
let registry: ExecRegistry;
const open = (): ExecRegistry => new ExecRegistry((id) => join(root, id));
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'atoll-execs-'));
  await mkdir(join(root, 'c1'));
  registry = open();
});
afterEach(async () => {
  await registry.close();
  await rm(root, { recursive: true, force: true });
});

/** The agent ends and starts again. */
async function restart(): Promise<void> {
  await registry.close();
  registry = open();
  await registry.recover('c1');
}

describe('the execs of a container', () => {
  test('are as many as the bound; the oldest that nobody uses makes room', () => {
    const all = Array.from({ length: 512 }, () => registry.create('c1', SPEC));
    registry.create('c1', SPEC);
    expect(() => registry.get(all[0]?.id ?? '')).toThrow('No such exec instance');
    expect(registry.get(all[1]?.id ?? '')).toBe(all[1]);
    registry.create('c2', SPEC);
    expect(registry.idsOf('c1').length).toBe(512);
  });

  test('are refused when all of them run', async () => {
    for (let count = 0; count < 512; count++) await registry.started(registry.create('c1', SPEC), process.pid, SESSION);
    expect(() => registry.create('c1', SPEC)).toThrow('container c1 runs 512 execs already');
    expect(registry.create('c2', SPEC).state).toBe('created');
  });

  test('go with it', async () => {
    const { id } = registry.create('c1', SPEC);
    const other = registry.create('c2', SPEC);
    registry.forgetContainer('c1');
    await expect(registry.inspect(id)).rejects.toThrow('No such exec instance');
    expect(await registry.inspect(other.id)).toBe(other);
  });

  test('are listed until they end', async () => {
    const exec = registry.create('c1', SPEC);
    await registry.started(exec, process.pid, SESSION);
    expect(registry.idsOf('c1')).toEqual([exec.id]);
    registry.ended(exec, 0);
    expect(registry.idsOf('c1')).toEqual([]);
    expect(await registry.inspect(exec.id)).toMatchObject({ state: 'ended', exitCode: 0 });
  });
});

describe('after a restart of the agent', () => {
  test('an exit code is still known, the environment is not', async () => {
    const exec = registry.create('c1', SPEC);
    await registry.started(exec, process.pid, SESSION);
    registry.ended(exec, 7);
    await restart();
    const { argv, user, tty, env } = (await registry.inspect(exec.id)).spec;
    expect(await registry.inspect(exec.id)).toMatchObject({ state: 'ended', exitCode: 7, containerId: 'c1' });
    expect({ argv, user, tty, env }).toEqual({ argv: SPEC.argv, user: 'www', tty: true, env: [] });
    expect(await readFile(join(root, 'c1/execs'), 'utf8')).not.toContain('secret');
  });

  test('one that runs is known to run', async () => {
    const exec = registry.create('c1', SPEC);
    await registry.started(exec, process.pid, SESSION);
    await restart();
    expect(await registry.inspect(exec.id)).toMatchObject({ state: 'running', pid: process.pid });
    expect(registry.idsOf('c1')).toEqual([exec.id]);
  });

  test('one that ended unseen says that its exit code is not known', async () => {
    const exec = registry.create('c1', SPEC);
    await registry.started(exec, process.pid, SESSION);
    exec.startTicks = '1'; // another process has the pid now
    await restart();
    await expect(registry.inspect(exec.id)).rejects.toThrow('is not known: it ended after a restart');
    expect(registry.idsOf('c1')).toEqual([]);
  });

  test('one that was never started is gone', async () => {
    const { id } = registry.create('c1', SPEC);
    await restart();
    await expect(registry.inspect(id)).rejects.toThrow('No such exec instance');
  });

  test('the newest 128 are there, and long commands are cut', async () => {
    const long = runtimeV1.ExecSpec.fromPartial({ argv: ['sh', 'x'.repeat(10_000), '-c'] });
    const all = Array.from({ length: 130 }, () => registry.create('c1', long));
    for (const exec of all) {
      await registry.started(exec, process.pid, SESSION);
      registry.ended(exec, 0);
    }
    await restart();
    await expect(registry.inspect(all[1]?.id ?? '')).rejects.toThrow('No such exec instance');
    expect((await registry.inspect(all[2]?.id ?? '')).spec.argv).toEqual(['sh']);
  });

  test.each([
    ['half a file', '[{"id":"'],
    ['another document', '{"a":1}'],
    ['an id that is none', '[{"id":"../x"}]'],
  ])('%s is none', async (_name, text) => {
    await writeFile(join(root, 'c1/execs'), text);
    await restart();
    expect(registry.idsOf('c1')).toEqual([]);
  });
});
