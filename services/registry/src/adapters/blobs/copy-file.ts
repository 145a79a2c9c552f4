import type { FileHandle } from 'node:fs/promises';
import { dataLoss } from '@atoll/errors';

const PIECE_BYTES = 256 * 1024;

/**
 * Reads bytes `start` to `end` (included) through two buffers that take turns: one is read into while the other is used.
 * Nothing is allocated per piece, which for large blobs is most of the work. Errors: data-loss when the file is shorter.
 */
export async function copyFile(
  file: FileHandle,
  start: number,
  end: number,
  use: (piece: Uint8Array) => Promise<void>,
): Promise<void> {
  const size = Math.max(1, Math.min(PIECE_BYTES, end - start + 1));
  const buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)] as const;
  let using: Promise<void> = Promise.resolve();
  for (let at = start, turn: 0 | 1 = 0; at <= end; turn = turn === 0 ? 1 : 0) {
    const buffer = buffers[turn];
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at + 1), at);
    await using;
    if (bytesRead === 0) throw dataLoss(`a stored blob ends after ${at} bytes; push or pull its image again`);
    using = use(buffer.subarray(0, bytesRead));
    using.catch(() => undefined);
    at += bytesRead;
  }
  await using;
}
