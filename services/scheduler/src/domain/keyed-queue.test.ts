import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { KeyedQueue } from './keyed-queue.ts';

const never = new AbortController().signal;

test('tasks of one key run one after the other in order, others meanwhile, failures do not stop the line', async () => {
  const queue = new KeyedQueue();
  const seen: string[] = [];
  const task = (name: string) => async (): Promise<void> => {
    seen.push(`${name} begins`);
    await turn();
    seen.push(`${name} ends`);
    if (name === 'a2') throw new Error('boom');
  };
  const results = await Promise.allSettled([
    queue.run('a', never, task('a1')),
    queue.run('a', never, task('a2')),
    queue.run('b', never, task('b1')),
    queue.run('a', never, task('a3')),
  ]);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  const ofA = seen.filter((entry) => entry.startsWith('a'));
  expect(ofA).toEqual(['a1 begins', 'a1 ends', 'a2 begins', 'a2 ends', 'a3 begins', 'a3 ends']);
  expect(seen.indexOf('b1 begins')).toBeLessThan(seen.indexOf('a1 ends'));
});

test('a line is bounded by who waits now, not by who ever waited', async () => {
  const queue = new KeyedQueue();
  let previous: Promise<void> = Promise.resolve();
  for (let i = 0; i < 300; i++) {
    const next = queue.run('a', never, () => turn().then(() => undefined));
    await previous;
    previous = next;
  }
  await previous;
  const many = Array.from({ length: 80 }, () => queue.run('a', never, () => turn().then(() => undefined)));
  const refused = (await Promise.allSettled(many)).filter((result) => result.status === 'rejected');
  expect(refused).toHaveLength(15);
  expect(refused[0]).toMatchObject({ reason: { reason: 'resource-exhausted' } });
});

test('an aborted wait does not run', async () => {
  const queue = new KeyedQueue();
  const stop = new AbortController();
  let ran = false;
  const first = queue.run('a', never, () => turn().then(() => undefined));
  const second = queue.run('a', stop.signal, async () => {
    ran = true;
  });
  stop.abort(new Error('enough'));
  await first;
  await expect(second).rejects.toThrow('enough');
  expect(ran).toBe(false);
});
