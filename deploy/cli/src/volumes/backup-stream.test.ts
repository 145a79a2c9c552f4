import { createHash } from 'node:crypto';
import { outOfRange, unavailable } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import { backupStream, type KnownBegin } from './backup-stream.ts';

const archive = (content: string): Buffer => Buffer.from(`{"format":1,"created":"2026-01-02T03:04:05.678Z"}${content}`);

/** A cluster whose archive is `contents` in turn, and is cut after so many bytes of each answer. */
async function run(options: {
  readonly contents: readonly string[];
  readonly cuts: readonly number[];
  readonly canRestart?: boolean;
  readonly goesOn?: boolean;
  readonly refuses?: Error;
}): Promise<{ readonly bytes: Buffer; readonly asked: (KnownBegin | undefined)[]; readonly restarts: number }> {
  const { contents, cuts, canRestart = true, goesOn = true, refuses } = options;
  const asked: (KnownBegin | undefined)[] = [];
  let bytes = Buffer.alloc(0);
  let restarts = 0;
  const restart = async (): Promise<void> => {
    bytes = Buffer.alloc(0);
    restarts++;
  };
  const open = async (known: KnownBegin | undefined): Promise<AsyncIterable<Buffer>> => {
    const index = asked.push(known) - 1;
    if (refuses) throw refuses;
    const whole = archive(contents[Math.min(index, contents.length - 1)] ?? '');
    const from = known?.bytes ?? 0;
    if (known && createHash('sha256').update(whole.subarray(0, from)).digest('hex') !== known.sha256)
      throw outOfRange('changed');
    return (async function* () {
      for (let at = from; at < whole.length; at += 10) {
        if (at - from >= (cuts[index] ?? Number.POSITIVE_INFINITY)) throw new Error('aborted');
        yield whole.subarray(at, at + 10);
      }
    })();
  };
  const signal = AbortSignal.timeout(10_000);
  const source = backupStream({
    open,
    goesOn,
    restart: canRestart ? restart : undefined,
    say: () => undefined,
    retryMs: [0, 0, 0],
    signal,
  });
  for await (const chunk of source) bytes = Buffer.concat([bytes, chunk]);
  return { bytes, asked, restarts };
}

const LONG = 'x'.repeat(200);

describe('a backup that is cut', () => {
  test('goes on behind what is there, however often', async () => {
    const { bytes, asked, restarts } = await run({ contents: [LONG], cuts: [100, 50, 20] });
    expect(bytes).toEqual(archive(LONG));
    expect(asked.map((known) => known?.bytes)).toEqual([undefined, 100, 150, 170]);
    expect(asked[1]?.created).toBe('2026-01-02T03:04:05.678Z');
    expect(restarts).toBe(0);
  });

  test('begins anew once when the volume has changed', async () => {
    const { bytes, restarts } = await run({ contents: [LONG, 'other', 'other'], cuts: [100] });
    expect(bytes).toEqual(archive('other'));
    expect(restarts).toBe(1);
  });

  test.each([
    [
      'the volume has changed and what was given cannot be taken back',
      { contents: [LONG, 'other'], cuts: [100], canRestart: false },
      'out-of-range',
    ],
    ['it changes again and again', { contents: [LONG, 'a', `a${LONG}`, 'b'], cuts: [100, 0, 100] }, 'out-of-range'],
    [
      'it is compressed, or users would be stopped again',
      { contents: [LONG], cuts: [100], goesOn: false },
      'unavailable',
    ],
    ['nothing was there to go on with', { contents: [LONG], cuts: [10] }, 'unavailable'],
    ['it is cut too often', { contents: [LONG], cuts: [100, 10, 10, 10, 10] }, 'unavailable'],
    ['it is refused', { contents: [], cuts: [], refuses: unavailable('no') }, 'unavailable'],
  ])('fails when %s', async (_name, options, reason) => {
    await expect(run(options)).rejects.toMatchObject({ reason });
  });
});
