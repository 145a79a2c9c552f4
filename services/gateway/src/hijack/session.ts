import type { Socket } from 'node:net';
import { DetachScanner, stdcopyHeader } from '@atoll/docker-api';
import type { AsyncQueue } from '@atoll/rpc';
import type { OutputChunk, TerminalInput } from './terminal-io.ts';

export interface SessionOptions {
  readonly socket: Socket;
  /** Where stdin goes; undefined when the client did not ask for stdin. */
  readonly input: AsyncQueue<TerminalInput> | undefined;
  readonly output: AsyncIterable<OutputChunk>;
  /** Frame stdout and stderr (no TTY). */
  readonly multiplexed: boolean;
  /** Watch stdin for these keys; undefined: never detach. */
  readonly detachKeys: readonly number[] | undefined;
  /** Cancels the backend's side. */
  readonly cancel: (reason: unknown) => void;
}

/**
 * Copies bytes both ways until the process' output ends or the client is gone. The client's half-close is stdin EOF and leaves
 * the output open; a slow client stops the reading of output, a slow process the reading of the socket.
 * Resolves when the connection is finished; never rejects.
 */
export async function runSession(options: SessionOptions): Promise<void> {
  const { socket, cancel } = options;
  socket.once('close', () => cancel(new DOMException('the client went away', 'AbortError')));
  if (socket.destroyed) cancel(new DOMException('the client went away', 'AbortError'));
  pumpInput(options);
  try {
    await pumpOutput(options);
    socket.end();
  } catch {
    socket.destroy();
  } finally {
    options.input?.end();
    cancel(new DOMException('the session is over', 'AbortError'));
    // What the client still sends goes nowhere; reading it lets its end of the connection be seen.
    socket.resume();
  }
}

function pumpInput({ socket, input, detachKeys, cancel }: SessionOptions): void {
  if (input === undefined) {
    socket.resume();
    return;
  }
  const scanner = detachKeys === undefined ? undefined : new DetachScanner(detachKeys);
  socket.on('data', (chunk: Buffer) => {
    const scanned = scanner?.scan(chunk) ?? { data: chunk, detached: false };
    if (scanned.data.length > 0 && !input.push({ kind: 'data', data: scanned.data })) {
      socket.pause();
      input.pushWait({ kind: 'data', data: scanned.data }).then(
        () => socket.resume(),
        () => socket.destroy(),
      );
    }
    if (scanned.detached) {
      cancel(new DOMException('detached by keys', 'AbortError'));
      socket.end();
    }
  });
  socket.once('end', () => {
    input.pushWait({ kind: 'eof' }).then(
      () => input.end(),
      () => input.end(),
    );
  });
}

async function pumpOutput({ socket, output, multiplexed }: SessionOptions): Promise<void> {
  for await (const { stream, data } of output) {
    if (socket.destroyed) return;
    if (multiplexed) {
      socket.cork();
      socket.write(stdcopyHeader(stream, data.length));
    }
    const room = socket.write(data);
    if (multiplexed) socket.uncork();
    if (!room) await drained(socket);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      socket.off('drain', settle);
      socket.off('close', settle);
      resolve();
    };
    socket.on('drain', settle);
    socket.on('close', settle);
    if (socket.destroyed) settle();
  });
}
