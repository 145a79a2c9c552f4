import { describe, expect, test } from 'vitest';
import { unframe } from './docker-api.ts';

function frame(stream: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = stream;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

async function* pieces(whole: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}

describe("docker's frames", () => {
  const whole = Buffer.concat([frame(1, 'one\n'), frame(2, 'zwei ü\n'), frame(1, ''), frame(1, 'three')]);
  test.each([1, 3, 8, 9, 1000])('cut into pieces of %i bytes', async (size) => {
    let text = '';
    for await (const part of unframe(pieces(whole, size))) text += part;
    expect(text).toBe('one\nzwei ü\nthree');
  });
});
