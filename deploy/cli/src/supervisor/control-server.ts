import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { notFound } from '@atoll/errors';
import type { Supervisor } from './supervisor.ts';

export interface ControlActions {
  /** Returns at once; the supervisor ends some time later. */
  stop(containerGraceMs: number): void;
}

/** Orders to the supervisor over a unix socket that only root can open: `POST /stop?grace=ms`, `/hosts/<name>/<verb>`, `/services/<name>/kill`. */
export class ControlServer {
  readonly #supervisor: Supervisor;
  readonly #actions: ControlActions;
  readonly #server: Server;

  constructor(supervisor: Supervisor, actions: ControlActions) {
    this.#supervisor = supervisor;
    this.#actions = actions;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  async listen(path: string): Promise<void> {
    await rm(path, { force: true });
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(path, resolve));
    await chmod(path, 0o600);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#act(request);
      response.writeHead(204).end();
    } catch (error) {
      response.writeHead(409, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ message: error instanceof Error ? error.message : String(error) }));
    }
  }

  async #act(request: IncomingMessage): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://supervisor');
    const [kind, name = '', verb] = url.pathname.split('/').filter(Boolean);
    const order = `${kind} ${verb ?? ''}`.trim();
    if (request.method !== 'POST') throw notFound('orders are POST requests');
    switch (order) {
      case 'stop':
        return this.#actions.stop(Number(url.searchParams.get('grace') ?? 10_000));
      case 'hosts kill':
        return this.#supervisor.host(name).kill();
      case 'hosts start':
        return this.#supervisor.host(name).revive();
      case 'hosts cut':
        return this.#supervisor.host(name).setCable(false);
      case 'hosts heal':
        return this.#supervisor.host(name).setCable(true);
      case 'hosts kill-agent':
        return this.#supervisor.host(name).killAgent();
      case 'services kill':
        return this.#supervisor.killService(name);
      default:
        throw notFound(`no order ${url.pathname}`);
    }
  }
}
