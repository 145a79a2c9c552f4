import { invalidArgument } from '@atoll/errors';

const BLOCK = 512;
const PAX_LIMIT = 1 << 20;
const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  link: [157, 100],
  prefix: [345, 155],
} as const;
/** Type flags (POSIX ustar, GNU) of headers that are no files of their own or whose permissions mean nothing. */
const WITHOUT_MODE = new Set(['x', 'g', 'L', 'K', '1', '2']);
const PAX = 'x';
const HARD_LINK = '1';

export interface TarChanges {
  /** Permission bits for all but links (0 to 07777). */
  readonly mode?: number | undefined;
  /** Unix seconds; newer times become this one. 0 = none do. */
  readonly epoch?: number | undefined;
  /** `./a` becomes `a`, in hard links too; the folder `./` itself stays. For POSIX tars, as the shim writes them. */
  readonly plainNames?: boolean | undefined;
}

/** The same tar with other permissions, older times or plain names; contents pass through untouched. Throws invalid-argument when it is none. */
export async function* rewriteTar(tar: AsyncIterable<Uint8Array>, changes: TarChanges): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let body = 0;
  let pax: { readonly header: Buffer; readonly size: number; readonly parts: Buffer[] } | undefined;
  // What a pax header means depends on the kind of what follows it.
  let held: { readonly header: Buffer; readonly records: Buffer } | undefined;
  for await (const chunk of tar) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
    let at = 0;
    while (at < rest.length) {
      if (body > 0) {
        const piece = rest.subarray(at, at + body);
        at += piece.length;
        body -= piece.length;
        if (!pax) yield piece;
        else pax.parts.push(piece);
        if (pax && body === 0) {
          held = { header: pax.header, records: Buffer.concat(pax.parts).subarray(0, pax.size) };
          pax = undefined;
        }
        continue;
      }
      if (rest.length - at < BLOCK) break;
      const header = Buffer.from(rest.subarray(at, at + BLOCK));
      at += BLOCK;
      const size = header.every((byte) => byte === 0) ? 0 : numberOf(header, 'size');
      body = Math.ceil(size / BLOCK) * BLOCK;
      const isPax = String.fromCharCode(header[156] ?? 0) === PAX;
      if (isPax && size > PAX_LIMIT) throw invalidArgument(`the tar has an extension header of ${size} bytes`);
      if (isPax && size > 0) pax = { header, size, parts: [] };
      else {
        if (held) yield* paxBlocks(held.header, held.records, changes, header[156] === HARD_LINK.charCodeAt(0));
        held = undefined;
        yield changed(header, changes);
      }
    }
    rest = rest.subarray(at);
  }
  if (rest.length > 0 || body > 0 || held) throw invalidArgument('the tar ends too early');
}

function changed(header: Buffer, { mode, epoch = 0, plainNames = false }: TarChanges): Buffer {
  if (header[0] === 0 && header.every((byte) => byte === 0)) return header;
  const flag = String.fromCharCode(header[156] ?? 0);
  if (mode !== undefined && !WITHOUT_MODE.has(flag)) octal(header, 'mode', mode);
  if (epoch > 0 && numberOf(header, 'mtime') > epoch) octal(header, 'mtime', epoch);
  if (plainNames && flag !== PAX) {
    strip(header, header[FIELDS.prefix[0]] === 0 ? 'name' : 'prefix');
    if (flag === HARD_LINK) strip(header, 'link');
  }
  return signed(header);
}

/** Takes `./` off the beginning of a name that goes on. */
function strip(header: Buffer, field: 'name' | 'prefix' | 'link'): void {
  const [offset, length] = FIELDS[field];
  const bytes = header.subarray(offset, offset + length);
  // A prefix has no slash at its end.
  if (field === 'prefix' && bytes[0] === DOT && bytes[1] === 0) bytes[0] = 0;
  if (bytes[0] !== DOT || bytes[1] !== SLASH || bytes[2] === 0) return;
  bytes.copyWithin(0, 2);
  bytes.fill(0, length - 2);
}

const DOT = 0x2e;
const SLASH = 0x2f;

/** A record of a pax header, which begins with its own length. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A pax header with its times clamped and its names plain; none at all when nothing else was in it. */
function* paxBlocks(header: Buffer, records: Buffer, changes: TarChanges, hardLink: boolean): Generator<Buffer> {
  const { epoch = 0, plainNames = false } = changes;
  const kept: Buffer[] = [];
  for (let at = 0; at < records.length; ) {
    const space = records.indexOf(0x20, at);
    const length = space < 0 ? Number.NaN : Number(records.toString('latin1', at, space));
    if (!Number.isInteger(length) || length <= space - at || at + length > records.length) {
      throw invalidArgument('the tar has a malformed pax header');
    }
    const name = /^(path|linkpath)=\.\/[^\n]/.exec(records.toString('latin1', space + 1, at + length))?.[1];
    if (plainNames && (name === 'path' || (name === 'linkpath' && hardLink))) {
      kept.push(paxRecord(name, records.subarray(space + 1 + name.length + 3, at + length)));
      at += length;
      continue;
    }
    const time = /^[mac]time=([-\d.]+)\n$/.exec(records.toString('latin1', space + 1, at + length));
    // Without the record the time of the header counts, which is clamped as well.
    if (!time || epoch === 0 || Number(time[1]) <= epoch) kept.push(records.subarray(at, at + length));
    at += length;
  }
  const body = Buffer.concat(kept);
  if (body.length === 0) return;
  octal(header, 'size', body.length);
  yield changed(header, changes);
  yield body;
  const padding = (BLOCK - (body.length % BLOCK)) % BLOCK;
  if (padding > 0) yield Buffer.alloc(padding);
}

/** Octal text, or GNU's base 256 with the highest bit set. */
function numberOf(header: Buffer, field: keyof typeof FIELDS): number {
  const [offset, length] = FIELDS[field];
  const bytes = header.subarray(offset, offset + length);
  if (((bytes[0] ?? 0) & 0x80) !== 0) {
    return bytes.subarray(1).reduce((value, byte) => value * 256 + byte, (bytes[0] ?? 0) & 0x7f);
  }
  const text = bytes.toString('latin1').replace(/[\0 ].*$/s, '');
  const value = Number.parseInt(text || '0', 8);
  if (Number.isNaN(value)) throw invalidArgument(`the tar has a malformed ${field}`);
  return value;
}

function octal(header: Buffer, field: keyof typeof FIELDS, value: number): void {
  const [offset, length] = FIELDS[field];
  header.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, length, 'latin1');
}

function signed(header: Buffer): Buffer {
  const [offset, length] = FIELDS.checksum;
  header.fill(0x20, offset, offset + length);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, offset, length, 'latin1');
  return header;
}
