import { expect, test } from 'vitest';
import { PIECE_BYTES, pieces } from './pieces.ts';

async function* chunks(sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (const [index, size] of sizes.entries()) yield Buffer.alloc(size, index);
}

test.each<[string, number[], number[]]>([
  ['nothing', [], []],
  ['a small upload is one piece', [512, 0, 100], [612]],
  ['small chunks are joined', Array.from({ length: 300 }, () => 512), [65_536, 65_536, 22_528]],
  ['large chunks are cut', [PIECE_BYTES * 2 + 1], [PIECE_BYTES, PIECE_BYTES, 1]],
])('%s', async (_name, sizes, want) => {
  const found: Buffer[] = [];
  for await (const piece of pieces(chunks(sizes))) found.push(piece);
  expect(found.map((piece) => piece.length)).toEqual(want);
  const all: Buffer[] = [];
  for await (const chunk of chunks(sizes)) all.push(chunk);
  expect(Buffer.concat(found)).toEqual(Buffer.concat(all));
});
