import { describe, expect, test } from 'vitest';
import { ArchiveInput } from './archive-input.ts';

/** Pieces, then its end; or, without one, nothing more. */
async function* source(pieces: readonly string[], ends = true): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
  if (!ends) await new Promise(() => undefined);
}
async function read(input: ArchiveInput): Promise<string> {
  let text = '';
  for await (const piece of input) text += Buffer.from(piece).toString();
  return text;
}

describe('an archive that several calls bring', () => {
  test('is one stream; what a call that was cut has brought is there once', async () => {
    const input = new ArchiveInput();
    const text = read(input);
    for (const pieces of [['ab', 'c'], [], ['de']]) {
      const call = new AbortController();
      const before = input.bytes;
      const taken = input.take(source(pieces, false), call.signal);
      await expect.poll(() => input.bytes).toBe(before + pieces.join('').length);
      call.abort(new Error('cut'));
      // The source of a call that was cut may never say so.
      void taken.catch(() => undefined);
    }
    await input.take(source(['f', 'g']), new AbortController().signal);
    expect(await text).toBe('abcdefg');
    expect(input.bytes).toBe(7);
  });

  test('holds one piece; a call that is cut while it waits has brought no other', async () => {
    const input = new ArchiveInput();
    const call = new AbortController();
    const taken = input.take(source(['ab', 'cd']), call.signal);
    await expect.poll(() => input.bytes).toBe(2);
    call.abort(new Error('cut'));
    await expect(taken).rejects.toThrow('cut');
    expect(input.bytes).toBe(2);
    const text = read(input);
    await input.take(source(['cd']), new AbortController().signal);
    expect(await text).toBe('abcd');
  });

  test('has not ended when its source fails', async () => {
    const input = new ArchiveInput();
    const failing = (async function* () {
      yield Buffer.from('ab');
      throw new Error('gone');
    })();
    await expect(input.take(failing, new AbortController().signal)).rejects.toThrow('gone');
    const text = read(input);
    await input.take(source(['c']), new AbortController().signal);
    expect(await text).toBe('abc');
  });

  test('fails its reader, and lets those go that wait for room', async () => {
    const input = new ArchiveInput();
    const taken = input.take(source(['ab', 'cd', 'ef']), new AbortController().signal);
    await expect.poll(() => input.bytes).toBe(2);
    input.end(new Error('given up'));
    await taken;
    await expect(read(input)).rejects.toThrow('given up');
  });
});
