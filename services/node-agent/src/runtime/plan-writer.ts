/** Grows a buffer of the plan's tag-length-value records (little endian). */
export class PlanWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #length = 0;

  /** Appends one record whose payload `body` writes. */
  record(tag: number, body: (writer: PlanWriter) => void): void {
    this.u16(tag);
    const at = this.#length;
    this.u32(0);
    body(this);
    this.#bytes.writeUInt32LE(this.#length - at - 4, at);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#length = this.#bytes.writeUInt8(value, this.#length);
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#length = this.#bytes.writeUInt16LE(value, this.#length);
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeUInt32LE(value, this.#length);
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#length = this.#bytes.writeInt32LE(value, this.#length);
  }

  u64(value: bigint): void {
    this.#reserve(8);
    this.#length = this.#bytes.writeBigUInt64LE(BigInt.asUintN(64, value), this.#length);
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Length (with the closing zero), bytes, zero. Throws RangeError when the text holds a zero byte. */
  text(value: string): void {
    if (value.includes('\0')) {
      throw new RangeError(`the text ${JSON.stringify(value)} holds a zero byte and cannot go into a plan`);
    }
    const size = Buffer.byteLength(value);
    this.u32(size + 1);
    this.#reserve(size + 1);
    this.#length += this.#bytes.write(value, this.#length);
    this.#length = this.#bytes.writeUInt8(0, this.#length);
  }

  take(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) {
      return;
    }
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + extra));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
