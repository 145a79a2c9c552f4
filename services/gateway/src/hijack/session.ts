import type { Duplex } from 'node:stream';
import { DetachScanner, stdcopyHeader } from '@atoll/docker-api';
import type { AsyncQueue } from '@atoll/rpc';
import type { OutputChunk, TerminalInput } from './terminal-io.ts';

export interface SessionOptions {
  readonly socket: Duplex;
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

/** How a session was over: the process' output has ended, the client pressed its detach keys, or it went away. */
export type SessionEnd = 'ended' | 'detached' | 'left';

/**
 * Copies bytes both ways until the process' output ends or the client is gone. The client's half-close is stdin EOF and leaves
 * the output open; a slow client stops the reading of output, a slow process the reading of the socket.
 * Resolves when the connection is finished; never rejects.
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { socket, cancel } = options;
  let end: SessionEnd | undefined;
  const leave = (): void => {
    end ??= 'left';
    cancel(new DOMException('the client went away', 'AbortError'));
  };
  socket.once('close', leave);
  if (socket.destroyed) leave();
  pumpInput(options, () => {
    end ??= 'detached';
  });
  try {
    await pumpOutput(options);
    end ??= 'ended';
    socket.end();
  } catch {
    socket.destroy();
  } finally {
    options.input?.end();
    cancel(new DOMException('the session is over', 'AbortError'));
    // What the client still sends goes nowhere; reading it lets its end of the connection be seen.
    socket.resume();
  }
  return end ?? 'left';
}

function pumpInput({ socket, input, detachKeys, cancel }: SessionOptions, onDetach: () => void): void {
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
      onDetach();
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

function drained(socket: Duplex): Promise<void> {
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
