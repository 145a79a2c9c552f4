import { createHash } from 'node:crypto';
import { outOfRange } from '@atoll/errors';

/**
 * What comes after the first `bytes` of a source. Errors: out-of-range, before anything is given, when those have not this SHA-256
 * (hex): whoever has other ones cannot go on with this.
 */
export async function* skipKnown(
  source: AsyncIterable<Uint8Array>,
  known: { readonly bytes: number; readonly sha256: string },
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let left = known.bytes;
  for await (const chunk of source) {
    if (left === 0) {
      yield chunk;
      continue;
    }
    const taken = Math.min(left, chunk.length);
    hash.update(chunk.subarray(0, taken));
    left -= taken;
    if (left > 0) continue;
    if (hash.digest('hex') !== known.sha256) throw changed(known.bytes);
    if (taken < chunk.length) yield chunk.subarray(taken);
  }
  if (left > 0) throw changed(known.bytes);
}

const changed = (bytes: number) =>
  outOfRange(`the archive does not begin with those ${bytes} bytes any more: the volume has changed, begin anew`);
