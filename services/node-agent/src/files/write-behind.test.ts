import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { WriteBehind } from './write-behind.ts';

function counted(delayMs: number, writeMs = 0) {
  const seen = { newest: 0, written: [] as number[] };
  const behind = new WriteBehind(async () => {
    const value = seen.newest;
    await sleep(writeMs);
    seen.written.push(value);
  }, delayMs);
  const change = (value: number): void => {
    seen.newest = value;
    behind.mark();
  };
  return { behind, change, seen };
}

describe('writing behind', () => {
  test('many changes of a moment are one write of the newest', async () => {
    const { change, seen } = counted(5);
    for (const value of [1, 2, 3]) change(value);
    expect(seen.written).toEqual([]);
    await expect.poll(() => seen.written).toEqual([3]);
  });

  test('a change during a write is written after it', async () => {
    const { behind, change, seen } = counted(1, 20);
    change(1);
    const first = behind.flush();
    await sleep(5);
    change(2);
    await first;
    await behind.flush();
    expect(seen.written).toEqual([1, 2]);
  });

  test('a flush with nothing new writes nothing, and waits for what is being written', async () => {
    const { behind, change, seen } = counted(60_000, 10);
    change(1);
    void behind.flush();
    await behind.flush();
    await behind.flush();
    expect(seen.written).toEqual([1]);
  });

  test('nothing is written once it is closed', async () => {
    const { behind, change, seen } = counted(5, 10);
    change(1);
    const first = behind.flush();
    await sleep(1);
    change(2);
    await behind.close();
    await first;
    change(3);
    await behind.flush();
    await sleep(20);
    expect(seen.written).toEqual([1]);
  });
});
