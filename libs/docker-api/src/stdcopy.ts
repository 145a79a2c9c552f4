/** Docker's framing of stdout and stderr on one connection: 1 byte stream, 3 zero bytes, 4 bytes big-endian length. */
export const STDCOPY_HEADER_LENGTH = 8;

export type StdcopyStream = 'stdin' | 'stdout' | 'stderr' | 'system-error';

const CODES: Readonly<Record<StdcopyStream, number>> = { stdin: 0, stdout: 1, stderr: 2, 'system-error': 3 };

/** The header that announces `length` bytes of `stream`. */
export function stdcopyHeader(stream: StdcopyStream, length: number): Buffer {
  const header = Buffer.allocUnsafe(STDCOPY_HEADER_LENGTH);
  writeStdcopyHeader(header, 0, stream, length);
  return header;
}

/** Writes a header at a place of a buffer; gives the place behind it. */
export function writeStdcopyHeader(into: Buffer, at: number, stream: StdcopyStream, length: number): number {
  into.writeUInt32BE(CODES[stream] * 2 ** 24, at);
  return into.writeUInt32BE(length, at + 4);
}
