import { describe, expect, test } from 'vitest';
import { OrderedOutput } from './ordered-output.ts';
import { QuietOutput } from './quiet-output.ts';

function collector(limit = 100, signal = new AbortController().signal) {
  let text = '';
  const shown: number[] = [];
  const output = new OrderedOutput({
    sink: {
      text: async (piece) => {
        text += piece;
      },
      progress: async ({ status }) => {
        text += `<${status}>`;
      },
    },
    order: [0, 2, 5],
    limit,
    onLive: (stage) => shown.push(stage),
    signal,
  });
  return { output, shown, text: () => text };
}

describe('output of stages that run at the same time', () => {
  test('appears in the order of the Dockerfile', async () => {
    const { output, shown, text } = collector();
    await output.of(2).text('b1 ');
    await output.of(5).text('c1 ');
    await output.of(0).text('a1 ');
    await output.of(5).progress({ status: 'pull', id: '', current: 0n, total: 0n, stream: '', auxJson: '' });
    await output.finish(5);
    expect(text()).toBe('a1 ');
    await output.finish(0);
    await output.of(2).text('b2 ');
    expect(text()).toBe('a1 b1 b2 ');
    await output.finish(2);
    expect(text()).toBe('a1 b1 b2 c1 <pull>');
    expect(shown).toEqual([2, 5]);
  });

  test('is held back when the buffer is full, until its turn comes', async () => {
    const { output, text } = collector(4);
    await output.of(2).text('full');
    let written = false;
    const waiting = output
      .of(2)
      .text('!')
      .then(() => {
        written = true;
      });
    await new Promise(setImmediate);
    expect(written).toBe(false);
    await output.finish(0);
    await waiting;
    expect(text()).toBe('full!');
  });

  test('held back output ends with the build', async () => {
    const abort = new AbortController();
    const { output } = collector(1, abort.signal);
    await output.of(2).text('x');
    const waiting = output.of(2).text('y');
    abort.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });

  test('what nobody saw yet is shown after a failure', async () => {
    const { output, text } = collector();
    await output.of(5).text('why it failed');
    await output.flush();
    expect(text()).toBe('why it failed');
  });
});

test('quiet output keeps the newest text, bounded', async () => {
  const quiet = new QuietOutput(10);
  for (let index = 0; index < 100; index++) await quiet.text(`${index % 10}`.repeat(5));
  expect(quiet.kept.length).toBeLessThan(20);
  expect(quiet.kept.endsWith('99999')).toBe(true);
});
