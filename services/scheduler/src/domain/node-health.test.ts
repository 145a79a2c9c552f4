import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { NodeHealth } from './node-health.ts';

let down: string[];
let health: NodeHealth;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  down = [];
  health = new NodeHealth({ timeoutMs: 4_000, aloneTimeoutMs: 30_000, graceMs: 6_000, onDown: (id) => down.push(id) });
  health.start([]);
});
afterEach(() => {
  health.stop();
  vi.useRealTimers();
});

/** Time passes; these nodes are heard once a second. */
function pass(seconds: number, ...heard: readonly string[]): void {
  for (let i = 0; i < seconds; i++) {
    vi.advanceTimersByTime(1_000);
    for (const id of heard) health.heard(id);
  }
}

test('a silent node is down after the time-out, within 5 s, while others are heard', () => {
  for (const id of ['h1', 'h2', 'h3']) health.up(id);
  pass(3, 'h2', 'h3');
  expect(down).toEqual([]);
  pass(2, 'h2', 'h3');
  expect(down).toEqual(['h1']);
  expect([health.isReady('h1'), health.isReady('h2')]).toEqual([false, true]);
});

test('two of three may be lost at once', () => {
  for (const id of ['h1', 'h2', 'h3']) health.up(id);
  pass(5, 'h3');
  expect(down.sort()).toEqual(['h1', 'h2']);
});

test('all silent at once is nobody lost, and who comes back late gets time', () => {
  for (const id of ['h1', 'h2', 'h3']) health.up(id);
  pass(10);
  expect(down).toEqual([]);
  pass(2, 'h3');
  expect(down).toEqual([]);
  pass(5, 'h2', 'h3');
  expect(down).toEqual(['h1']);
});

test('all silent for long are down', () => {
  for (const id of ['h1', 'h2']) health.up(id);
  pass(29);
  expect(down).toEqual([]);
  pass(2);
  expect(down.sort()).toEqual(['h1', 'h2']);
});

test('expected nodes have the grace of a start, then they are down whatever the others do', () => {
  health.stop();
  health.start(['h1', 'h2']);
  health.up('h2');
  pass(9, 'h2');
  expect([down, health.isAwaited('h1')]).toEqual([[], true]);
  pass(2, 'h2');
  expect([down, health.isAwaited('h1')]).toEqual([['h1'], false]);
});

test('a node that was given up and one that was forgotten are down once and never', () => {
  for (const id of ['h1', 'h2', 'h3']) health.up(id);
  health.forget('h2');
  pass(20, 'h3');
  health.heard('h1');
  pass(20, 'h3');
  expect(down).toEqual(['h1']);
});
