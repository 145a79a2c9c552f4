import { invalidArgument } from '@atoll/errors';

const BLOCK = 512;
const EXTENSION_LIMIT = 1 << 20;

/** The names in a tar the shim wrote (ustar, GNU long names, pax paths), without `./` in front and slashes at the end; the folder itself left out. */
export async function* tarNames(tar: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  let skip = 0;
  let extension: { readonly flag: string; readonly size: number } | undefined;
  let long: string | undefined;
  for await (const chunk of tar) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      if (extension) {
        const padded = Math.ceil(extension.size / BLOCK) * BLOCK;
        if (rest.length - at < padded) break;
        const body = rest.subarray(at, at + extension.size);
        if (extension.flag === 'L') long = body.toString('utf8').replace(/\0.*$/s, '');
        if (extension.flag === 'x') long = /(?:^|\n)\d+ path=([^\n]*)\n/.exec(body.toString('utf8'))?.[1] ?? long;
        at += padded;
        extension = undefined;
        continue;
      }
      if (skip > 0) {
        const step = Math.min(skip, rest.length - at);
        at += step;
        skip -= step;
        if (skip > 0) break;
      }
      if (rest.length - at < BLOCK) break;
      const header = rest.subarray(at, at + BLOCK);
      at += BLOCK;
      if (header[0] === 0) continue;
      const flag = String.fromCharCode(header[156] ?? 0);
      const size = sizeOf(header);
      if ('xgLK'.includes(flag)) {
        if (size > EXTENSION_LIMIT) throw invalidArgument(`the tar has an extension header of ${size} bytes`);
        extension = { flag, size };
        continue;
      }
      const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header, 345, 155) : '';
      const short = prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
      const name = (long ?? short).replace(/^(\.\/+)+/, '').replace(/\/+$/, '');
      if (name !== '' && name !== '.') yield name;
      long = undefined;
      skip = Math.ceil(size / BLOCK) * BLOCK;
    }
    rest = rest.subarray(at);
  }
}

function text(header: Buffer, offset: number, length: number): string {
  return header.toString('utf8', offset, offset + length).replace(/\0.*$/s, '');
}

function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) {
    return field.subarray(1).reduce((value, byte) => value * 256 + byte, (field[0] ?? 0) & 0x7f);
  }
  return Number.parseInt(field.toString('latin1').replace(/[\0 ].*$/s, ''), 8) || 0;
}
