/** Largest piece of data in one gRPC message, bytes. */
const MESSAGE_BYTES = 256 * 1024;

/** The same bytes in pieces that fit into a message. */
export async function* rechunk(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    for (let at = 0; at < chunk.byteLength; at += MESSAGE_BYTES) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset + at, Math.min(MESSAGE_BYTES, chunk.byteLength - at));
    }
  }
}
