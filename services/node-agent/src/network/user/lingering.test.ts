import { describe, expect, test } from 'vitest';
import { Lingering } from './lingering.ts';

const NEVER = Number.POSITIVE_INFINITY;
type Step = [there: Record<string, number>, now: number];
type Case = [name: string, first: Step, more: Step[], wanted: number[], next: number];

describe('what lingers', () => {
  test.each([
    ['is there', [{ a: 1 }, 0], [], [1], NEVER],
    ['has gone just now', [{ a: 1, b: 2 }, 0], [[{ a: 1 }, 5]], [1, 2], 15],
    [
      'has gone for less than its time',
      [{ a: 1 }, 0],
      [
        [{}, 5],
        [{}, 14],
      ],
      [1],
      15,
    ],
    [
      'has gone for its time',
      [{ a: 1 }, 0],
      [
        [{}, 5],
        [{}, 15],
      ],
      [],
      NEVER,
    ],
    [
      'has come back, and goes anew',
      [{ a: 1 }, 0],
      [
        [{}, 5],
        [{ a: 1 }, 9],
        [{}, 12],
        [{}, 21],
      ],
      [1],
      22,
    ],
    [
      'was another when it was last there',
      [{ a: 1 }, 0],
      [
        [{ a: 2 }, 1],
        [{}, 2],
      ],
      [2],
      12,
    ],
  ] as Case[])('%s', (_name, first, more, wanted, next) => {
    const all = new Lingering<number>(10);
    const last = [first, ...more].map(([there, now]) => all.keep(new Map(Object.entries(there)), now)).at(-1);
    expect(last).toEqual(wanted);
    expect(all.next).toBe(next);
  });
});
