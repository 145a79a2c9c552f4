import { STDCOPY_HEADER_LENGTH, type StdcopyStream, writeStdcopyHeader } from '@atoll/docker-api';

/** Docker cuts longer lines. */
const MAX_LINE_BYTES = 16 * 1024;
const NEWLINE = 0x0a;

/**
 * Lines as docker sends a log: each with its prefix and in a frame of its own, in one buffer. SDKs take a frame for a line.
 * @param stream undefined for a terminal, which has no frames
 */
export function logFrames(stream: StdcopyStream | undefined, data: Buffer, prefix: string): Buffer {
  if (stream === undefined && prefix === '') return data;
  const ends = lineEnds(data);
  const lead = Buffer.from(prefix);
  const header = stream === undefined ? 0 : STDCOPY_HEADER_LENGTH;
  const frames = Buffer.allocUnsafe(data.length + ends.length * (header + lead.length));
  let at = 0;
  let begin = 0;
  for (const end of ends) {
    if (stream !== undefined) at = writeStdcopyHeader(frames, at, stream, lead.length + end - begin);
    frames.set(lead, at);
    at += lead.length;
    at += data.copy(frames, at, begin, end);
    begin = end;
  }
  return frames;
}

function lineEnds(data: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at < data.length; ) {
    const found = data.indexOf(NEWLINE, at);
    at = Math.min(found === -1 ? data.length : found + 1, at + MAX_LINE_BYTES);
    ends.push(at);
  }
  return ends;
}
