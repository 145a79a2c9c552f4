/** Messages on byte streams carry at most this much. */
export const PIECE_BYTES = 256 * 1024;
/** What is collected before it is sent. */
const JOINED_BYTES = 64 * 1024;

/**
 * An upload in pieces worth a message each: clients write a tar in blocks of 512 bytes, and a message costs more than copying its
 * bytes. Nothing waits for a part of an upload, so small chunks may lie here until more comes.
 */
export async function* pieces(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes < JOINED_BYTES) continue;
    yield* cut(Buffer.concat(parts, bytes));
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield* cut(Buffer.concat(parts, bytes));
}

function* cut(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
