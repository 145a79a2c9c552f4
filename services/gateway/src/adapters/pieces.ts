/** Messages on byte streams carry at most this much. */
export const PIECE_BYTES = 256 * 1024;

/** A byte stream in pieces a message may carry. */
export async function* pieces(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) yield chunk.subarray(at, at + PIECE_BYTES);
  }
}
