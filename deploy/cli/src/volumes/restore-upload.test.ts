import { conflict, failedPrecondition, notFound, outOfRange, unavailable } from '@atoll/errors';
import { describe, expect, test } from 'vitest';
import { restoreUpload } from './restore-upload.ts';

const cut = unavailable('the connection was cut');
const gone = notFound('nothing is left');

/** Answers in turn: an error is thrown; the last one stands for all that follow. */
interface Script {
  readonly sends: readonly (Error | 'ok')[];
  readonly stands?: readonly (Error | number | 'done')[];
  readonly abortAfter?: number;
}

async function run({ sends, stands = [], abortAfter }: Script) {
  const sent: { readonly id: string; readonly offset: number | undefined }[] = [];
  const asked: string[] = [];
  const discarded: string[] = [];
  const said: string[] = [];
  const life = new AbortController();
  const answer = <T>(answers: readonly (T | Error)[], at: number): T => {
    const value = answers[Math.min(at, answers.length - 1)];
    if (value === undefined || value instanceof Error) throw value ?? new Error('nobody thought of that');
    return value;
  };
  const outcome = await restoreUpload({
    calls: {
      send: async (id, offset) => {
        sent.push({ id, offset });
        if (sent.length === abortAfter) life.abort(new Error('interrupted'));
        answer(sends, sent.length - 1);
      },
      stand: async (id) => answer(stands, asked.push(id) - 1),
      discard: async (id) => {
        discarded.push(id);
        throw gone;
      },
    },
    say: (text) => said.push(text),
    retryMs: [0, 0, 0],
    signal: life.signal,
  }).then(
    () => 'done',
    (error: unknown) => error,
  );
  const ids = [...new Set(sent.map(({ id }) => id))];
  return { outcome, offsets: sent.map(({ offset }) => offset), ids, asked, discarded, said };
}

describe('a restore that is cut', () => {
  test('goes on behind what the host has, under its id', async () => {
    const { outcome, offsets, ids, discarded, said } = await run({ sends: [cut, cut, 'ok'], stands: [100, 250] });
    expect(outcome).toBe('done');
    expect(offsets).toEqual([undefined, 100, 250]);
    expect(ids).toHaveLength(1);
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(discarded).toEqual([]);
    expect(said).toContain('going on behind 250 bytes');
  });

  test('is not given up as long as more of it comes', async () => {
    const stands = Array.from({ length: 20 }, (_, index) => index + 1);
    const { outcome, offsets } = await run({ sends: [...stands.map(() => cut), 'ok'], stands });
    expect(outcome).toBe('done');
    expect(offsets).toHaveLength(21);
  });

  test('is done when it was, and only its answer was lost', async () => {
    expect(await run({ sends: [cut], stands: ['done'] })).toMatchObject({ outcome: 'done', offsets: [undefined] });
  });

  test('asks again when the host has other bytes by then, or does not answer', async () => {
    const sends = [cut, outOfRange('90 bytes are here'), 'ok'] as const;
    const { outcome, offsets } = await run({ sends, stands: [100, cut, 90] });
    expect(outcome).toBe('done');
    expect(offsets).toEqual([undefined, 100, 90]);
  });

  test('begins anew under another id when nothing is left, once the name is free', async () => {
    const { outcome, offsets, ids, discarded, said } = await run({
      sends: [cut, conflict('volume v is being made'), 'ok'],
      stands: [gone],
    });
    expect(outcome).toBe('done');
    expect(offsets).toEqual([undefined, undefined, undefined]);
    expect(ids).toHaveLength(2);
    expect(discarded).toEqual([ids[0]]);
    expect(said.join()).toContain('begins anew');
  });

  test.each<[string, Script, object, number]>([
    ['the host never has more', { sends: [cut], stands: [100] }, { reason: 'unavailable' }, 1],
    ['nothing is ever left', { sends: [cut], stands: [gone] }, { reason: 'unavailable', message: /4 times/ }, 4],
    ['it is refused', { sends: [failedPrecondition('no host fits')] }, { message: 'no host fits' }, 1],
    ['there is no such host', { sends: [notFound('no node h9')] }, { message: 'no node h9' }, 1],
    ["the name is another one's", { sends: [conflict('exists')] }, { message: 'exists' }, 1],
    [
      'the name stays in use after it',
      { sends: [cut, conflict('exists')], stands: [gone] },
      { message: /not heard/ },
      2,
    ],
    [
      'the archive is refused at its end',
      { sends: [cut, failedPrecondition('digest')], stands: [5] },
      { message: 'digest' },
      1,
    ],
    ['it is interrupted', { sends: [cut], stands: [1], abortAfter: 1 }, { message: 'interrupted' }, 1],
  ])('is given up when %s, and nothing stays', async (_name, script, error, ids) => {
    const result = await run(script);
    expect(result.outcome).toMatchObject(error);
    expect(result.ids).toHaveLength(ids);
    expect(result.discarded).toEqual(result.ids);
  });
});
