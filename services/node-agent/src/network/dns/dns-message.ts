import type { Answer, Question } from 'dns-packet';
import { decode, encode, type Packet, RECURSION_AVAILABLE, RECURSION_DESIRED, TRUNCATED_RESPONSE } from 'dns-packet';

/** RFC 1035; without EDNS a datagram is no longer. */
const PLAIN_BYTES = 512;
/** What crosses every link unfragmented (DNS flag day 2020). */
const EDNS_BYTES = 1232;
const HEADER_BYTES = 12;

export const RCODE = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nameError: 3,
  notImplemented: 4,
  refused: 5,
} as const;

export interface Query {
  readonly id: number;
  readonly question: Question;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly recursionDesired: boolean;
  /** How long an answer in a datagram may be. */
  readonly datagramBytes: number;
  readonly edns: boolean;
}

/** Undefined for what is no query with one question; see `formatError` for the answer. */
export function decodeQuery(message: Buffer): Query | undefined {
  if (message.length < HEADER_BYTES || (message.readUInt8(2) & 0xf8) !== 0) return undefined;
  let packet: Packet;
  try {
    packet = decode(message);
  } catch {
    return undefined;
  }
  const [question, ...more] = packet.questions ?? [];
  if (!question || more.length > 0) return undefined;
  const opt = (packet.additionals ?? []).find(({ type }) => type === 'OPT');
  const offered = opt && 'udpPayloadSize' in opt ? Number(opt.udpPayloadSize) : PLAIN_BYTES;
  return {
    id: message.readUInt16BE(0),
    question,
    name: question.name.toLowerCase().replace(/\.$/, ''),
    recursionDesired: (message.readUInt8(2) & 1) !== 0,
    datagramBytes: Math.min(Math.max(offered, PLAIN_BYTES), EDNS_BYTES),
    edns: opt !== undefined,
  };
}

/** An answer of our own. `stream`: it may be of any length. */
export function encodeAnswer(query: Query, rcode: number, answers: readonly Answer[], stream: boolean): Buffer {
  const build = (records: readonly Answer[], flags: number): Buffer =>
    encode({
      type: 'response',
      id: query.id,
      // The code is in the flags' last four bits (RFC 1035, 4.1.1).
      flags: flags | RECURSION_AVAILABLE | (query.recursionDesired ? RECURSION_DESIRED : 0) | rcode,
      questions: [query.question],
      answers: [...records],
      additionals: query.edns
        ? [
            {
              type: 'OPT',
              name: '.',
              udpPayloadSize: EDNS_BYTES,
              extendedRcode: 0,
              ednsVersion: 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ]
        : [],
    });
  const whole = build(answers, 0);
  return stream || whole.length <= query.datagramBytes ? whole : build([], TRUNCATED_RESPONSE);
}

/** For what could not be read: the header with the code; undefined when there is not even an id. */
export function formatError(message: Buffer): Buffer | undefined {
  if (message.length < HEADER_BYTES || (message.readUInt8(2) & 0x80) !== 0) return undefined;
  const opcode = message.readUInt8(2) & 0x78;
  const answer = Buffer.alloc(HEADER_BYTES);
  message.copy(answer, 0, 0, 2);
  answer.writeUInt8(0x80 | opcode, 2);
  answer.writeUInt8(opcode === 0 ? RCODE.formatError : RCODE.notImplemented, 3);
  return answer;
}

export function isTruncated(message: Buffer): boolean {
  return message.length >= HEADER_BYTES && (message.readUInt8(2) & 2) !== 0;
}

/** Is this the answer to that query: its id, and the same question byte for byte but for case? */
export function answers(message: Buffer, query: Buffer): boolean {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== query.readUInt16BE(0)) return false;
  if ((message.readUInt8(2) & 0x80) === 0) return false;
  if (message.readUInt16BE(4) === 0) return true; // an error without a question
  const end = questionEnd(query);
  const part = (of: Buffer): string => of.toString('latin1', HEADER_BYTES, end).toLowerCase();
  return message.length >= end && part(message) === part(query);
}

function questionEnd(query: Buffer): number {
  let at = HEADER_BYTES;
  while (at < query.length && query.readUInt8(at) !== 0) at += query.readUInt8(at) + 1;
  return Math.min(at + 5, query.length);
}
