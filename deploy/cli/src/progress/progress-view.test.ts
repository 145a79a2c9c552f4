import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ProgressView } from './progress-view.ts';
import type { Step } from './step.ts';
import { StepList } from './step-list.ts';
import { terminalStyle } from './terminal-style.ts';

function recorder(): { readonly stream: Writable; text(): string } {
  let written = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk);
      done();
    },
  });
  return { stream, text: () => written };
}
const step = (more: Partial<Step>): Step => ({
  id: 'a',
  label: 'scheduler',
  state: 'running',
  detail: '',
  depth: 0,
  ...more,
});

describe('progress without a terminal', () => {
  const plain = terminalStyle({ isTTY: false }, {});

  test('one line for each step that ended, no escape codes', () => {
    const { stream, text } = recorder();
    const view = new ProgressView(stream, plain);
    view.show([step({ startedAt: Date.now() })]);
    expect(text()).toBe('');
    view.show([step({ state: 'done', detail: '10.0.0.1:7', startedAt: 1000, endedAt: 2500 })]);
    view.show([step({ state: 'done', detail: '10.0.0.1:7', startedAt: 1000, endedAt: 2500 })]);
    view.close();
    expect(text()).toBe(`✔ scheduler${' '.repeat(18)}10.0.0.1:7 (1.5 s)\n`);
  });

  test('a step that drags on says what it waits for', () => {
    const { stream, text } = recorder();
    new ProgressView(stream, plain).show([step({ detail: 'waiting for its agent', startedAt: Date.now() - 3100 })]);
    expect(text()).toContain('… scheduler');
    expect(text()).toContain('waiting for its agent');
  });
});

describe('colours', () => {
  test.each([
    ['a terminal', { isTTY: true }, {}, true, true],
    ['NO_COLOR', { isTTY: true }, { NO_COLOR: '1' }, true, false],
    ['a dumb terminal', { isTTY: true }, { TERM: 'dumb' }, false, false],
    ['a pipe', { isTTY: false }, {}, false, false],
  ])('%s', (_name, stream, env, animated, coloured) => {
    const style = terminalStyle(stream, env);
    expect(style.animated).toBe(animated);
    expect(style.green('x') !== 'x').toBe(coloured);
  });
});

describe('a list of steps', () => {
  test('failure marks the step with its reason and reaches the caller', async () => {
    const steps = new StepList();
    steps.plan('a', 'first');
    await expect(steps.run({ id: 'a', label: 'first' }, () => Promise.reject(new Error('no disk')))).rejects.toThrow(
      'no disk',
    );
    expect(steps.list()).toMatchObject([{ id: 'a', state: 'failed', detail: 'no disk' }]);
  });

  test('order is that of the first mention; details change on the way', async () => {
    const steps = new StepList();
    steps.plan('a', 'first');
    steps.plan('b', 'second');
    const result = await steps.run({ id: 'b', label: 'second' }, async (detail) => {
      detail('half');
      expect(steps.list()[1]).toMatchObject({ state: 'running', detail: 'half' });
      return 5;
    });
    expect(result).toBe(5);
    expect(steps.list().map((one) => one.state)).toEqual(['waiting', 'done']);
  });
});
