import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AtollError, unavailable } from '@atoll/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cgroupModeOf } from './cgroup-mode.ts';
import { LeaderFinder } from './leader-finder.ts';
import { prettyName } from './node-facts.ts';
import { NodeMemory } from './node-memory.ts';

describe('what a node remembers', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atoll-memory-'));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true });
  });

  test('the highest epoch, over a restart', async () => {
    const memory = await NodeMemory.open(folder);
    expect(memory.epoch).toBe(0n);
    memory.check(0n);
    await memory.obey(5n, 'c1', '10.0.0.0/24');
    await memory.obey(9_007_199_254_740_993n, 'c1', '10.0.0.0/24');
    const again = await NodeMemory.open(folder);
    expect(again).toMatchObject({ epoch: 9_007_199_254_740_993n, clusterId: 'c1', containerSubnet: '10.0.0.0/24' });
    expect(() => again.check(5n)).toThrow('epoch 5 is over');
    await expect(again.obey(5n, 'c1', '10.0.0.0/24')).rejects.toThrow('epoch 5 is over');
  });

  test('whose it is', async () => {
    const memory = await NodeMemory.open(folder);
    await expect(memory.obey(memory.epoch + 1n, 'c2', '10.0.0.0/24')).rejects.toThrow('belongs to cluster c1');
    expect((await NodeMemory.open(folder)).clusterId).toBe('c1');
  });

  test('nothing is guessed from a file that is no memory', async () => {
    const other = await mkdtemp(join(folder, 'x-'));
    await writeFile(join(other, 'node.json'), '{"epoch":"x"}');
    await expect(NodeMemory.open(other)).rejects.toThrow();
    expect(await readFile(join(other, 'node.json'), 'utf8')).toBe('{"epoch":"x"}');
  });
});

describe('which scheduler', () => {
  const refusal = (leader?: string): AtollError => unavailable('not me', leader ? { details: { leader } } : {});

  test('each of the list in turn', () => {
    const finder = new LeaderFinder(['a:1', 'b:1']);
    const tried = Array.from({ length: 3 }, () => {
      const address = finder.next();
      finder.failed(address, refusal());
      return address;
    });
    expect(tried).toEqual(['a:1', 'b:1', 'a:1']);
  });

  test('the one that is named, at once, but only once', () => {
    const finder = new LeaderFinder(['a:1', 'b:1']);
    expect(finder.failed(finder.next(), refusal('z:9'))).toBe(true);
    expect(finder.next()).toBe('z:9');
    expect(finder.failed('z:9', refusal())).toBe(false);
    expect(finder.next()).toBe('b:1');
  });

  test('one that names itself is not followed in a circle', () => {
    const finder = new LeaderFinder(['a:1']);
    expect(finder.failed('a:1', refusal('a:1'))).toBe(false);
  });

  test('the one that worked comes first', () => {
    const finder = new LeaderFinder(['a:1', 'b:1']);
    finder.worked('b:1');
    expect(finder.next()).toBe('b:1');
    finder.worked('z:9');
    expect(finder.next()).toBe('z:9');
  });
});

describe('facts', () => {
  test.each([
    ['v2', 'cgroup2 /sys/fs/cgroup cgroup2 rw 0 0'],
    ['v1', 'tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0'],
    ['hybrid', 'cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0'],
  ])('cgroups: %s', (mode, mounts) => {
    expect(cgroupModeOf(mounts)).toBe(mode);
  });
  test.each([
    ['quoted', 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 12"\n', 'Debian GNU/Linux 12'],
    ['bare', 'PRETTY_NAME=Alpine', 'Alpine'],
    ['missing', '', 'Linux'],
  ])('system: %s', (_name, text, want) => {
    expect(prettyName(text)).toBe(want);
  });
});
