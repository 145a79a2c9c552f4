/** A member of a hand-made archive, hostile ones included; nothing is checked. */
export interface TarMember {
  readonly name: string;
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of a pax header put in front. */
  readonly pax?: Readonly<Record<string, string>>;
  /** The header's size field instead of the content's length. */
  readonly size?: Buffer;
}

const BLOCK = 512;

export function buildTar(members: readonly TarMember[], end = true): Buffer {
  const parts = members.flatMap((member) => [
    ...(member.pax === undefined ? [] : [paxHeader(member.pax)]),
    header(member),
    padded(Buffer.from(member.content ?? '')),
  ]);
  return Buffer.concat([...parts, Buffer.alloc(end ? 2 * BLOCK : 0)]);
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function paxHeader(records: Readonly<Record<string, string>>): Buffer {
  const body = Buffer.concat(
    Object.entries(records).map(([key, value]) => {
      const rest = Buffer.from(` ${key}=${value}\n`);
      let length = rest.length + 1;
      while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
  return Buffer.concat([header({ name: 'pax', type: 'x', content: body }), padded(body)]);
}

function header(member: TarMember): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, size: number): void => {
    block.write(value.toString(8).padStart(size - 1, '0'), at, 'latin1');
  };
  block.write(member.name, 0, 100);
  octal(member.mode ?? (member.type === '5' ? 0o755 : 0o644), 100, 8);
  octal(member.uid ?? 0, 108, 8);
  octal(member.gid ?? 0, 116, 8);
  if (member.size === undefined) octal(Buffer.from(member.content ?? '').length, 124, 12);
  else member.size.copy(block, 124);
  octal(member.mtime ?? 1_000_000_000, 136, 12);
  block.write(member.type ?? '0', 156, 'latin1');
  block.write(member.link ?? '', 157, 100);
  block.write('ustar\0', 257, 'latin1');
  block.write('00', 263, 'latin1');
  octal(member.major ?? 0, 329, 8);
  octal(member.minor ?? 0, 337, 8);
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
