import { describe, expect, test } from 'vitest';
import { logFrames } from './log-frames.ts';

/** Frames as [stream, text]. */
function frames(bytes: Buffer): [number, string][] {
  const found: [number, string][] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 4);
    found.push([bytes.readUInt8(at), bytes.toString('utf8', at + 8, at + 8 + length)]);
    at += 8 + length;
  }
  return found;
}

describe('a log for docker', () => {
  test.each([
    ['each line is a frame', 'a\nb\n', '', ['a\n', 'b\n']],
    ['the last may have no end', 'a\nb', '', ['a\n', 'b']],
    ['each has the prefix', 'a\nb\n', 'time ', ['time a\n', 'time b\n']],
    ['an empty line too', '\n', 'time ', ['time \n']],
  ])('%s', (_, text, prefix, expected) => {
    expect(frames(logFrames('stderr', Buffer.from(text), prefix))).toEqual(expected.map((line) => [2, line]));
  });

  test('lines of more than 16 KiB are cut', () => {
    const cut = frames(logFrames('stdout', Buffer.from(`${'x'.repeat(20_000)}\n`), ''));
    expect(cut.map(([, line]) => line.length)).toEqual([16_384, 3_617]);
  });

  test('a terminal has no frames, and its prefixes', () => {
    expect(logFrames(undefined, Buffer.from('a\nb\n'), '').toString()).toBe('a\nb\n');
    expect(logFrames(undefined, Buffer.from('a\nb\n'), 't ').toString()).toBe('t a\nt b\n');
  });
});
