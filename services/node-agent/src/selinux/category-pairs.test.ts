import { describe, expect, test } from 'vitest';
import { CategoryPairs } from './category-pairs.ts';

const LEVEL = /^s0:c(\d+),c(\d+)$/;

describe('pairs of categories', () => {
  test('are two different ones of 1024, the lower first', () => {
    const pairs = new CategoryPairs(() => []);
    for (let number = 0; number < 500; number++) {
      const [, low, high] = LEVEL.exec(pairs.take(String(number))) ?? [];
      expect(Number(low)).toBeLessThan(Number(high));
      expect(Number(high)).toBeLessThan(1024);
    }
  });

  test('are one for each container, and the same until it is released', () => {
    const pairs = new CategoryPairs(() => []);
    const levels = Array.from({ length: 3000 }, (_, number) => pairs.take(String(number)));
    expect(new Set(levels).size).toBe(levels.length);
    expect(pairs.take('7')).toBe(levels[7]);
    pairs.release('7');
    expect(pairs.take('7')).toBe(levels[7]);
  });

  test('are none of those that containers have already', () => {
    const first = new CategoryPairs(() => []).take('a');
    const labelled = [{ id: 'b', level: first }];
    const pairs = new CategoryPairs(() => labelled);
    const second = pairs.take('a');
    expect(second).not.toBe(first);
    // Its status says it now.
    labelled.push({ id: 'a', level: second });
    expect([first, second]).not.toContain(pairs.take('c'));
  });
});
