import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { internal } from '@atoll/errors';

const MAX_REPORT_BYTES = 64 * 1024;

type Stream = 'ignore' | 'pipe';

/** The helper runs with an empty environment: nothing of ours or of an image's may steer it. */
export function spawnShim(
  shim: string,
  args: readonly string[],
  stdio: readonly [Stream, Stream, Stream],
  detached = false,
): ChildProcess {
  return spawn(shim, args, { env: {}, detached, stdio: [...stdio] });
}

/** Rejects when the program could not be executed at all; otherwise resolves with its end. */
export function whenClosed(
  child: ChildProcess,
): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(internal(`cannot run the shim: ${cause.message}`, { cause })));
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** All of a stream as text. Throws when it is longer than 64 KiB (or the given limit). */
export async function readText(stream: Readable | null, limit = MAX_REPORT_BYTES): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream ?? []) {
    size += (chunk as Buffer).length;
    if (size > limit) throw internal(`the shim printed more than ${limit} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
