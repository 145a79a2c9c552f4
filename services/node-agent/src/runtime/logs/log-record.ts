/** One write of the container: exact bytes. On disk [u32 length][u8 stream][u64 unix ns][bytes][u32 length]. */
export interface LogRecord {
  readonly stream: 'stdout' | 'stderr';
  /** Unix time in nanoseconds at which the shim read the bytes. */
  readonly time: bigint;
  readonly data: Buffer;
}

export const LOG_HEADER_BYTES = 13;
export const LOG_TRAILER_BYTES = 4;
/** The shim reads at most this much at once. */
export const MAX_LOG_RECORD_BYTES = 64 * 1024;

/**
 * The record at `at`, and where the next one begins; `incomplete` when its bytes are not all there yet,
 * `torn` when the bytes are no record (a shim killed in the middle of a write).
 */
export function parseRecord(
  bytes: Buffer,
  at: number,
): { readonly record: LogRecord; readonly next: number } | 'incomplete' | 'torn' {
  if (bytes.length - at < LOG_HEADER_BYTES) return 'incomplete';
  const length = bytes.readUInt32LE(at);
  const stream = bytes.readUInt8(at + 4);
  if (length > MAX_LOG_RECORD_BYTES || (stream !== 1 && stream !== 2)) return 'torn';
  const start = at + LOG_HEADER_BYTES;
  const next = start + length + LOG_TRAILER_BYTES;
  if (bytes.length < next) return 'incomplete';
  if (bytes.readUInt32LE(start + length) !== length) return 'torn';
  return {
    record: {
      stream: stream === 1 ? 'stdout' : 'stderr',
      time: bytes.readBigUInt64LE(at + 5),
      data: Buffer.from(bytes.subarray(start, start + length)),
    },
    next,
  };
}
