import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { inject } from 'vitest';
import { unique } from './docker.ts';

/**
 * The cluster of the run under another name, whose Docker socket is reached over a link that breaks, or stands still, after some
 * bytes of a connection's requests.
 */
export class UnsteadySocket implements AsyncDisposable {
  readonly name: string;
  readonly #folder: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Bytes of requests that were let through. */
  sent = 0;
  /** Connections that were broken. */
  broken = 0;
  #allowed: number[] = [];
  #standsStill = false;

  private constructor() {
    this.name = unique('link').toLowerCase();
    this.#folder = join('/run/atoll', this.name);
    mkdirSync(this.#folder);
    symlinkSync(`/run/atoll/${inject('clusterName')}/state.json`, join(this.#folder, 'state.json'));
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#join(client));
  }

  static async open(): Promise<UnsteadySocket> {
    const socket = new UnsteadySocket();
    await new Promise<void>((resolve) => socket.#server.listen(join(socket.#folder, 'docker.sock'), resolve));
    return socket;
  }

  /** The next requests break their connection after so many bytes each. */
  breakAfter(...bytes: number[]): void {
    this.#allowed = bytes;
    this.#standsStill = false;
  }

  /** The next request stands still after so many bytes. */
  standStillAfter(bytes: number): void {
    this.#allowed = [bytes];
    this.#standsStill = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #join(client: Socket): void {
    const upstream = createConnection(`/run/atoll/${inject('clusterName')}/docker.sock`);
    const ends = [client, upstream];
    for (const socket of ends) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        for (const end of ends) end.destroy();
      });
    }
    upstream.pipe(client);
    let passed = 0;
    let allowed: number | undefined;
    client.on('data', (chunk: Buffer) => {
      // Only requests that send much: questions pass, also those that went before on the same connection.
      if (chunk.toString('latin1', 0, 5) === 'POST ') {
        allowed = this.#allowed.shift();
        passed = 0;
      }
      passed += chunk.length;
      if (allowed !== undefined && passed > allowed) {
        client.pause();
        if (this.#standsStill) return;
        this.broken++;
        for (const end of ends) end.destroy();
        return;
      }
      this.sent += chunk.length;
      if (!upstream.write(chunk)) {
        client.pause();
        upstream.once('drain', () => client.resume());
      }
    });
    client.on('end', () => upstream.end());
  }
}
