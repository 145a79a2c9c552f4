import { type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { internal, unavailable } from '@atoll/errors';

export interface DockerCall {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as a tar. */
  readonly tar?: Buffer;
  readonly signal?: AbortSignal;
}

const API = '/v1.44';

/** The Docker Engine API on a unix socket: just what the commands need of it. */
export class DockerApi {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  /** The answer's body as a stream. Errors: internal with docker's message when the status is not 2xx, unavailable when nobody listens. */
  stream(path: string, call: DockerCall = {}): Promise<IncomingMessage> {
    const body = call.tar ?? (call.json === undefined ? undefined : Buffer.from(JSON.stringify(call.json)));
    const type = call.tar ? 'application/x-tar' : 'application/json';
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          socketPath: this.#socket,
          path: `${API}${path}`,
          method: call.method ?? 'GET',
          headers: body ? { 'content-type': type, 'content-length': body.length } : {},
          ...(call.signal && { signal: call.signal }),
        },
        (response) => {
          if (response.statusCode && response.statusCode < 300) return resolve(response);
          readAll(response).then((text) => reject(internal(`docker API, ${path}: ${messageOf(text)}`)), reject);
        },
      );
      outgoing.on('error', (cause) => reject(unavailable(`docker API, ${path}: ${cause.message}`, { cause })));
      outgoing.end(body);
    });
  }

  async json<T>(path: string, call: DockerCall = {}): Promise<T> {
    const text = await readAll(await this.stream(path, call));
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** A stream of JSON lines (build, pull, import); an error inside it is thrown. */
  async *progress(path: string, call: DockerCall): AsyncGenerator<ProgressLine> {
    const lines = createInterface({ input: await this.stream(path, call), crlfDelay: Number.POSITIVE_INFINITY });
    for await (const line of lines) {
      if (line.trim() === '') continue;
      const entry = JSON.parse(line) as ProgressLine;
      if (entry.error) throw internal(entry.error);
      yield entry;
    }
  }

  /** Runs a command in a container; its output and exit code. */
  async exec(
    container: string,
    command: readonly string[],
  ): Promise<{ readonly output: string; readonly code: number }> {
    const created = await this.json<{ Id: string }>(`/containers/${container}/exec`, {
      method: 'POST',
      json: { Cmd: command, AttachStdout: true, AttachStderr: true },
    });
    const started = await this.stream(`/exec/${created.Id}/start`, {
      method: 'POST',
      json: { Detach: false, Tty: false },
    });
    let output = '';
    for await (const chunk of unframe(started)) output += chunk;
    const { ExitCode: code } = await this.json<{ ExitCode: number }>(`/exec/${created.Id}/json`);
    return { output, code };
  }

  /** Lines of a container's log as they come, until `signal`. */
  async *logs(container: string, signal: AbortSignal): AsyncGenerator<string> {
    const path = `/containers/${container}/logs?stdout=1&stderr=1&follow=1&tail=0`;
    const text = Readable.from(unframe(await this.stream(path, { signal })));
    for await (const line of createInterface({ input: text })) yield line;
  }
}

export interface ProgressLine {
  readonly stream?: string;
  readonly status?: string;
  readonly error?: string;
  readonly aux?: { readonly ID?: string };
}

/** Takes Docker's frames apart: stream type, three zero bytes, length (32 bits, big endian), data. */
export async function* unframe(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 8 && rest.length >= 8 + rest.readUInt32BE(4)) {
      const end = 8 + rest.readUInt32BE(4);
      yield rest.toString('utf8', 8, end);
      rest = rest.subarray(end);
    }
  }
}

async function readAll(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text;
  } catch {
    return text;
  }
}
