/** What a client sends to an attached process. */
export type TerminalInput = { readonly kind: 'data'; readonly data: Buffer } | { readonly kind: 'eof' };

/** What a process writes. With a TTY everything is stdout. */
export interface OutputChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly data: Buffer;
}

/** A process that a backend has attached: its output ends when the process (or the attachment) ends. */
export interface AttachedProcess {
  readonly tty: boolean;
  /** Keys the process was made with, as text; absent: those of the request. */
  readonly detachKeys?: string;
  readonly output: AsyncIterable<OutputChunk>;
}
