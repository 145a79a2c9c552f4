import { parseDockerfile } from '@atoll/dockerfile';
import { describe, expect, test } from 'vitest';
import { Slots } from './slots.ts';
import { solve } from './solver.ts';
import { planStages } from './stage-graph.ts';

const THREE = planStages(
  parseDockerfile(
    Buffer.from('FROM a AS one\nFROM a AS two\nFROM a AS unused\nFROM a\nCOPY --from=one x y\nCOPY --from=two x y'),
  ).stages,
  (stage) => stage.from.image,
  '',
);

/** Resolves when told, so that tests decide the order and not the clock. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

describe('solving', () => {
  test('runs independent stages at the same time, each once, and none that is not needed', async () => {
    const both = gate();
    const started: number[] = [];
    const result = await solve(
      THREE,
      async (index, need) => {
        if (index === 3) return `${await need(0)}+${await need(1)}+${await need(0)}`;
        started.push(index);
        if (started.length === 2) both.open();
        await both.opened;
        return `r${index}`;
      },
      new AbortController(),
    );
    expect(result).toBe('r0+r1+r0');
    expect(started.sort()).toEqual([0, 1]);
  });

  test('the first failure aborts the others and is the one reported', async () => {
    const abort = new AbortController();
    const ended: number[] = [];
    const run = solve(
      THREE,
      async (index, need) => {
        if (index === 1) throw new Error('two is broken');
        if (index === 3) await Promise.all([need(0), need(1)]);
        await new Promise((_resolve, reject) => {
          abort.signal.addEventListener('abort', () => {
            ended.push(index);
            reject(abort.signal.reason);
          });
        });
      },
      abort,
    );
    await expect(run).rejects.toThrow('two is broken');
    expect(ended).toEqual([0]);
  });
});

describe('slots', () => {
  const signal = new AbortController().signal;

  test('bound the work and go to the earliest stage first', async () => {
    const slots = new Slots(1, 0);
    const first = await slots.take(0, signal);
    const order: number[] = [];
    const waits = [3, 2].map((stage) =>
      slots.take(stage, signal).then((slot) => {
        order.push(stage);
        slot[Symbol.dispose]();
      }),
    );
    await Promise.resolve();
    expect(order).toEqual([]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    await Promise.all(waits);
    expect(order).toEqual([2, 3]);
  });

  test('are never refused to the stage that is shown, whether it comes before or after its turn', async () => {
    const slots = new Slots(1, 0);
    await slots.take(5, signal);
    await slots.take(0, signal);
    const later = slots.take(1, signal);
    slots.show(1);
    await later;
  });

  test('are not waited for after an abort', async () => {
    const slots = new Slots(1, 0);
    const held = await slots.take(1, signal);
    const abort = new AbortController();
    const waiting = slots.take(2, abort.signal);
    abort.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
    held[Symbol.dispose]();
    await slots.take(3, signal);
  });
});
