import { expect, test } from 'vitest';
import { AsyncQueue } from './async-queue.ts';

test('who waits for room gets it, though somebody before has given up', async () => {
  const queue = new AsyncQueue<string>(1);
  queue.push('first');
  const impatient = new AbortController();
  const given = queue.pushWait('given up', impatient.signal);
  const waiting = queue.pushWait('second');
  impatient.abort(new Error('gave up'));
  await expect(given).rejects.toThrow('gave up');
  expect(await queue.next()).toEqual({ value: 'first', done: false });
  expect(await waiting).toBe(true);
  expect(await queue.next()).toEqual({ value: 'second', done: false });
});
