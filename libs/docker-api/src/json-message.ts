/** One object of the progress stream of pull, push, load, import and build. */
export interface JsonMessage {
  readonly stream?: string;
  readonly status?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  /** Older clients print this text instead of drawing the bar themselves. */
  readonly progress?: string;
  readonly id?: string;
  readonly errorDetail?: { readonly code?: number; readonly message: string };
  readonly error?: string;
  readonly aux?: unknown;
}

/** A message as docker writes it: one JSON object, CRLF. */
export function encodeJsonMessage(message: JsonMessage): string {
  return `${JSON.stringify(message)}\r\n`;
}

/** The failure of an operation whose 200 was sent already. */
export function errorMessage(message: string, code?: number): JsonMessage {
  return { errorDetail: code === undefined ? { message } : { code, message }, error: message };
}
