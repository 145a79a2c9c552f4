/** Docker's framing of stdout and stderr on one connection: 1 byte stream, 3 zero bytes, 4 bytes big-endian length. */
export const STDCOPY_HEADER_LENGTH = 8;

export type StdcopyStream = 'stdin' | 'stdout' | 'stderr' | 'system-error';

const CODES: Readonly<Record<StdcopyStream, number>> = { stdin: 0, stdout: 1, stderr: 2, 'system-error': 3 };

/** The header that announces `length` bytes of `stream`. */
export function stdcopyHeader(stream: StdcopyStream, length: number): Buffer {
  const header = Buffer.alloc(STDCOPY_HEADER_LENGTH);
  header.writeUInt8(CODES[stream], 0);
  header.writeUInt32BE(length, 4);
  return header;
}

/** Header and data as one buffer, so that one write sends one frame. */
export function stdcopyFrame(stream: StdcopyStream, data: Uint8Array): Buffer {
  return Buffer.concat([stdcopyHeader(stream, data.length), data]);
}
