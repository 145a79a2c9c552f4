import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MEBIBYTES = 1024;
const PORT = 5000;
const TOOLS = join(import.meta.dirname, '../../.tools/bench');
/** Where `stream` is in containers that were given `STREAM_MOUNT`, and in network namespaces. */
const STREAM = join(TOOLS, 'stream');

export const STREAM_MOUNT = ['-v', `${TOOLS}:${TOOLS}:ro`];

/** Runs commands where one end of a stream is: in a container, or in a network namespace. */
export interface Place {
  /** Program and arguments that a command is put behind. */
  readonly prefix: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `nc` of busybox copies so little at once that it would be what is measured. */
export function compileStream(): void {
  mkdirSync(TOOLS, { recursive: true });
  const source = join(import.meta.dirname, 'stream.c');
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-static', '-o', STREAM, source], { stdio: 'inherit' });
}

/** Gbit/s of one TCP stream, until the receiver has all of it. */
export async function throughput(from: Place, to: Place, address: string): Promise<number> {
  const [program = '', ...prefix] = to.prefix;
  const receiver = spawn(program, [...prefix, STREAM, 'receive', String(PORT)], {
    env: { ...process.env, ...to.env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const received = once(receiver, 'exit');
  await listening(to);
  const seconds = Number(within(from, STREAM, 'send', address, String(PORT), String(MEBIBYTES)));
  await received;
  return (MEBIBYTES * 2 ** 20 * 8) / seconds / 1e9;
}

async function listening(place: Place): Promise<void> {
  const pattern = `:${PORT.toString(16).toUpperCase().padStart(4, '0')} .* 0A `;
  for (let round = 0; round < 200; round++) {
    if (within(place, 'sh', '-c', `grep -c '${pattern}' /proc/net/tcp || true`).trim() !== '0') return;
    await sleep(20);
  }
  throw new Error('nobody listens for the stream');
}

export function within({ prefix, env }: Place, ...command: string[]): string {
  const [program = '', ...args] = prefix;
  return execFileSync(program, [...args, ...command], { env: { ...process.env, ...env }, encoding: 'utf8' });
}
