import { Agent, type IncomingMessage, request } from 'node:http';

/** The Docker API as a lean client uses it: one kept connection for each call in flight. */
export class DockerClient {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(dockerHost: string) {
    this.#socketPath = dockerHost.replace('unix://', '');
  }

  /** Sends a request and reads its whole answer; throws on an error status. */
  async call(method: string, path: string, body?: unknown): Promise<string> {
    return await (await this.begin(method, path, body))();
  }

  /** Sends a request; resolves when its answer begins, with a function that reads the rest. */
  async begin(method: string, path: string, body?: unknown): Promise<() => Promise<string>> {
    const response = await this.#send(method, path, body);
    return async () => {
      let text = '';
      for await (const part of response.setEncoding('utf8')) text += part;
      if ((response.statusCode ?? 500) >= 400) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
      return text;
    };
  }

  close(): void {
    this.#agent.destroy();
  }

  #send(method: string, path: string, body: unknown): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? '' : JSON.stringify(body);
      const call = request(
        {
          socketPath: this.#socketPath,
          agent: this.#agent,
          method,
          path: `/v1.41${path}`,
          headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(payload) },
        },
        resolve,
      );
      call.on('error', reject);
      call.end(payload);
    });
  }
}
