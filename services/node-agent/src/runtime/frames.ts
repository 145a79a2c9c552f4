import { dataLoss } from '@atoll/errors';

/** Types of the control protocol's frames: [u8 type][u32 length, little endian][payload]. */
export const FRAME = {
  subscribe: 1,
  start: 2,
  kill: 3,
  attach: 4,
  stdin: 5,
  stdinEnd: 6,
  resize: 7,
  state: 8,
  pause: 9,
  unpause: 10,
  update: 11,
  shutdown: 12,
  plan: 13,
  run: 14,
  file: 15,
  remove: 16,
  connect: 24,
  /** Of `change-elements` only. */
  elements: 25,
  reply: 128,
  stateIs: 129,
  stdout: 130,
  stderr: 131,
  exit: 132,
  prepared: 133,
} as const;

export const FRAME_HEADER_BYTES = 5;
/** The shim refuses longer frames, except for a plan. */
export const MAX_FRAME_BYTES = 64 * 1024;

export interface Frame {
  readonly type: number;
  readonly payload: Buffer;
}

export function encodeFrame(type: number, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32LE(payload.length, 1);
  frame.set(payload, FRAME_HEADER_BYTES);
  return frame;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class FrameParser {
  #rest: Buffer = Buffer.alloc(0);

  /** Throws data-loss when a length beyond the limit shows that the stream is out of step. */
  *push(chunk: Buffer): Generator<Frame> {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (this.#rest.length - at >= FRAME_HEADER_BYTES) {
      const length = this.#rest.readUInt32LE(at + 1);
      if (length > MAX_FRAME_BYTES) {
        throw dataLoss(`the shim sent a frame of ${length} bytes, more than the protocol allows`);
      }
      const end = at + FRAME_HEADER_BYTES + length;
      if (this.#rest.length < end) break;
      yield { type: this.#rest.readUInt8(at), payload: this.#rest.subarray(at + FRAME_HEADER_BYTES, end) };
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
  }
}
