import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: unknown;
}

/** One request over a unix socket, its answer read whole. */
export function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: object | string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const type: Record<string, string> =
    typeof body === 'object' && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {};
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path, headers: { ...type, ...headers }, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) });
      });
    });
    call.on('error', reject);
    call.end(raw);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A hijacked connection: what came after the answer's head. */
export interface Hijacked {
  readonly socket: Socket;
  readonly head: string;
  /** Resolves with all bytes when the server has ended its side. */
  readonly rest: Promise<Buffer>;
}

/** Sends a request that asks for the connection and waits for the answer's head. */
export function hijackRequest(
  socketPath: string,
  path: string,
  options: { readonly upgrade?: boolean; readonly body?: object } = {},
): Promise<Hijacked> {
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const socket = connect({ path: socketPath, allowHalfOpen: true });
  const upgrade = options.upgrade === false ? '' : 'Connection: Upgrade\r\nUpgrade: tcp\r\n';
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: docker\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return new Promise((resolve, reject) => {
    let head: string | undefined;
    let early = Buffer.alloc(0);
    const chunks: Buffer[] = [];
    let finish: (all: Buffer) => void;
    const rest = new Promise<Buffer>((done) => {
      finish = done;
    });
    socket.on('data', (chunk: Buffer) => {
      if (head !== undefined) {
        chunks.push(chunk);
        return;
      }
      early = Buffer.concat([early, chunk]);
      const end = early.indexOf('\r\n\r\n');
      if (end < 0) return;
      head = early.subarray(0, end).toString();
      chunks.push(early.subarray(end + 4));
      resolve({ socket, head, rest });
    });
    socket.on('end', () => finish(Buffer.concat(chunks)));
    socket.on('error', reject);
  });
}

/** Frames of a multiplexed stream: stream number and text of each. */
export function frames(data: Buffer): readonly (readonly [number, string])[] {
  const found: [number, string][] = [];
  for (let at = 0; at + 8 <= data.length; ) {
    const length = data.readUInt32BE(at + 4);
    found.push([data.readUInt8(at), data.subarray(at + 8, at + 8 + length).toString()]);
    at += 8 + length;
  }
  return found;
}
