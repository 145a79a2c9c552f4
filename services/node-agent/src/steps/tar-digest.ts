import { createHash, type Hash } from 'node:crypto';

const BLOCK = 512;
const MTIME = { at: 136, length: 12 };
const CHECKSUM = { at: 148, length: 8 };

/**
 * Digest of tars by names, kinds, owners, permissions and contents, but not by times: the same files made again are the same to
 * a build cache. Fields as in POSIX ustar and pax.
 */
export class TarDigest {
  readonly #hash: Hash = createHash('sha256');

  /** Adds one archive, under a name of its own. */
  async add(name: string, tar: AsyncIterable<Uint8Array>): Promise<void> {
    this.#hash.update(`${Buffer.byteLength(name)} ${name}\n`);
    let rest: Buffer = Buffer.alloc(0);
    let body = 0;
    let pax: Buffer[] | undefined;
    for await (const chunk of tar) {
      rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      let at = 0;
      while (rest.length - at > 0) {
        if (body > 0) {
          const piece = rest.subarray(at, at + body);
          if (pax) pax.push(piece);
          else this.#hash.update(piece);
          at += piece.length;
          body -= piece.length;
          if (body === 0 && pax) {
            this.#hash.update(withoutTimes(Buffer.concat(pax)));
            pax = undefined;
          }
          continue;
        }
        if (rest.length - at < BLOCK) break;
        const header = Buffer.from(rest.subarray(at, at + BLOCK));
        at += BLOCK;
        body = Math.ceil(sizeOf(header) / BLOCK) * BLOCK;
        if (header[156] === 0x78 && body > 0) {
          pax = [];
          // The length of a pax record changes with its time.
          header.fill(0, 124, 136);
        }
        header.fill(0, MTIME.at, MTIME.at + MTIME.length);
        header.fill(0, CHECKSUM.at, CHECKSUM.at + CHECKSUM.length);
        this.#hash.update(header);
      }
      rest = rest.subarray(at);
    }
    this.#hash.update(rest);
  }

  digest(): string {
    return `sha256:${this.#hash.digest('hex')}`;
  }
}

/** Octal text, or base 256 with the highest bit set. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] ?? 0) & 0x7f);
  }
  return Number.parseInt(field.toString('latin1').replace(/[\0 ]+$/, ''), 8) || 0;
}

/** The records of a pax header (`<length> <key>=<value>\n`) that are not times, without their lengths. */
function withoutTimes(records: Buffer): string {
  const kept: string[] = [];
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(records.toString('latin1', at, space));
    if (!Number.isInteger(length) || length <= space - at) break;
    const record = records.toString('latin1', space + 1, at + length);
    if (!/^(mtime|atime|ctime)=/.test(record)) kept.push(record);
    at += length;
  }
  return kept.join('');
}
