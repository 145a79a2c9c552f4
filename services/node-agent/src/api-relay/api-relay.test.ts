import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { relayPath } from '@atoll/docker-api';
import { containerV1 } from '@atoll/proto';
import { peerOfSocket, peerServerOptions, type Role, type TlsIdentity } from '@atoll/rpc';
import { testPki } from '@atoll/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrame } from '../runtime/frames.ts';
import { ApiRelay } from './api-relay.ts';
import { Gateways } from './gateways.ts';
import { API_FRAME } from './relayed-connection.ts';

const ID = 'c'.repeat(64);
const OTHER = 'd'.repeat(64);
const spec = (apiSocket: boolean) =>
  containerV1.ContainerSpec.fromPartial({ mounts: [{ type: 'bind', source: '/run/docker.sock', apiSocket }] });

interface Brought {
  readonly socket: Duplex;
  readonly path: string;
  readonly node: string;
  text: string;
  ended: boolean;
  error: unknown;
}

/** What agents see of a gateway. */
class Gateway {
  readonly brought: Brought[] = [];
  /** The answer to the next ones in place of 101. */
  refusal: [number, string] | undefined;
  readonly #server: Server;

  constructor(tls: TlsIdentity) {
    this.#server = createServer(peerServerOptions(tls), (_request, response) => response.end());
    this.#server.on('upgrade', (request, socket) => {
      if (this.refusal) {
        const body = JSON.stringify({ message: this.refusal[1] });
        socket.end(`HTTP/1.1 ${this.refusal[0]} No\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
        return;
      }
      const one = { socket, path: request.url ?? '', node: peerOfSocket(socket)?.id ?? '', text: '', ended: false };
      const brought: Brought = { ...one, error: undefined };
      this.brought.push(brought);
      socket.on('data', (part: Buffer) => {
        brought.text += part.toString('latin1');
      });
      socket.on('end', () => {
        brought.ended = true;
      });
      socket.on('error', (error) => {
        brought.error = error;
      });
      socket.write('HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    });
  }

  async start(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    for (const { socket } of this.brought) socket.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

let folder: string;
let relay: ApiRelay;
let gateways: Gateways;
let pki: Awaited<ReturnType<typeof testPki>>;
const started: Gateway[] = [];

beforeAll(async () => {
  pki = await testPki();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atoll-api-relay-'));
  gateways = new Gateways(await pki.identity('node', 'n1'), 600);
  relay = await ApiRelay.open(join(folder, 'api'), {
    gateways,
    container: (id) => (id === ID ? { spec: spec(true) } : id === OTHER ? { spec: spec(false) } : undefined),
  });
  await relay.start();
});
afterEach(async () => {
  await relay.stop();
  for (const gateway of started.splice(0)) gateway.stop();
  await rm(folder, { recursive: true, force: true });
});
afterAll(() => undefined);

async function gateway(role: Role = 'gateway', port = 0): Promise<{ gateway: Gateway; address: string }> {
  const one = new Gateway(await pki.identity(role, 'g1'));
  started.push(one);
  return { gateway: one, address: await one.start(port) };
}

/** What a shim does for one connection. */
class Shim {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(id = ID) {
    this.socket = connect(relay.path);
    this.socket
      .on('error', () => undefined)
      .on('close', () => {
        this.closed = true;
      });
    this.socket.on('data', (part: Buffer) => {
      this.text += part.toString('latin1');
    });
    if (id !== '') this.send(API_FRAME.hello, id);
  }

  send(type: number, text = ''): void {
    this.socket.write(encodeFrame(type, Buffer.from(text)));
  }
}

describe('a connection of a container', () => {
  test('goes to a gateway as it is, with its half-close, and back', async () => {
    const { gateway: one, address } = await gateway();
    gateways.set([address]);
    const shim = new Shim();
    shim.send(API_FRAME.data, 'a ques');
    shim.send(API_FRAME.data, 'tion');
    await expect.poll(() => one.brought[0]?.text).toBe('a question');
    expect(one.brought[0]).toMatchObject({ path: relayPath(ID), node: 'n1', ended: false });
    shim.send(API_FRAME.end);
    await expect.poll(() => one.brought[0]?.ended).toBe(true);
    one.brought[0]?.socket.write('an answer');
    await expect.poll(() => shim.text).toBe('an answer');
    expect(shim.closed).toBe(false);
    one.brought[0]?.socket.end(' and its end');
    await expect.poll(() => shim.closed).toBe(true);
    expect(shim.text).toBe('an answer and its end');
  });

  test('of one who is gone is cut, not half-closed, after what was sent', async () => {
    const { gateway: one, address } = await gateway();
    gateways.set([address]);
    const shim = new Shim();
    await expect.poll(() => one.brought.length).toBe(1);
    shim.send(API_FRAME.data, 'last words');
    shim.socket.end();
    await expect.poll(() => one.brought[0]?.error).toBeDefined();
    expect(one.brought[0]?.text).toBe('last words');
  });

  test('that the gateway cuts ends', async () => {
    const { gateway: one, address } = await gateway();
    gateways.set([address]);
    const shim = new Shim();
    await expect.poll(() => one.brought.length).toBe(1);
    one.brought[0]?.socket.destroy();
    await expect.poll(() => shim.closed).toBe(true);
  });

  test('is read only as fast as the gateway takes it, and the other way round', async () => {
    const size = 16_000_000;
    const { gateway: one, address } = await gateway();
    gateways.set([address]);
    const shim = new Shim();
    await expect.poll(() => one.brought.length).toBe(1);
    const far = one.brought[0] as Brought;
    far.socket.pause();
    let written = 0;
    const piece = encodeFrame(API_FRAME.data, Buffer.alloc(64_000, 'x'));
    const fill = (): void => {
      while (written < size && shim.socket.write(piece)) written += 64_000;
      if (written < size) written += 64_000;
    };
    shim.socket.on('drain', fill);
    fill();
    await sleep(400);
    expect(written).toBeLessThan(size);
    far.socket.resume();
    await expect.poll(() => far.text.length, { timeout: 20_000 }).toBe(size);
    shim.socket.pause();
    let taken = false;
    far.socket.write(Buffer.alloc(size, 'y'), () => {
      taken = true;
    });
    await sleep(400);
    expect(taken).toBe(false);
    shim.socket.resume();
    await expect.poll(() => shim.text.length, { timeout: 20_000 }).toBe(size);
  });

  test('ends with the agent', async () => {
    const { gateway: one, address } = await gateway();
    gateways.set([address]);
    const shim = new Shim();
    await expect.poll(() => one.brought.length).toBe(1);
    await relay.stop();
    await expect.poll(() => shim.closed).toBe(true);
    await relay.start().catch(() => undefined);
    relay = await ApiRelay.open(join(folder, 'again'), { gateways, container: () => undefined });
  });

  test.each<[string, string, [number, string] | undefined, string, string]>([
    ['made without the mount', OTHER, undefined, 'HTTP/1.1 403', 'was not made with a mount of the Docker socket'],
    ['this host does not know', 'e'.repeat(64), undefined, 'HTTP/1.1 403', 'was not made with a mount'],
    ['the gateway refuses', ID, [403, 'mounts are refused'], 'HTTP/1.1 403', 'mounts are refused'],
    ['the gateway cannot serve', ID, [503, 'shutting down'], 'HTTP/1.1 503', 'shutting down'],
  ])('%s is answered as by the API', async (_name, id, refusal, line, message) => {
    const { gateway: one, address } = await gateway();
    one.refusal = refusal;
    gateways.set([address]);
    const shim = new Shim(id);
    shim.send(API_FRAME.data, 'GET /_ping HTTP/1.1\r\n\r\n');
    await expect.poll(() => shim.closed).toBe(true);
    expect(shim.text).toContain(line);
    expect(shim.text).toContain(message);
    expect(one.brought).toEqual([]);
  });

  test.each([
    ['no id', API_FRAME.data, 'x'],
    ['an id that is none', API_FRAME.hello, '../x'],
  ])('that begins with %s is hung up on', async (_name, type, text) => {
    const shim = new Shim('');
    shim.send(type, text);
    await expect.poll(() => shim.closed).toBe(true);
  });
});

describe('gateways', () => {
  test('one that lives is found, and kept', async () => {
    const dead = await gateway();
    dead.gateway.stop();
    const stranger = await gateway('scheduler');
    const live = await gateway();
    gateways.set([dead.address, stranger.address, live.address]);
    for (let count = 1; count <= 2; count++) {
      const shim = new Shim();
      await expect.poll(() => live.gateway.brought.length).toBe(count);
      shim.socket.destroy();
    }
    expect(stranger.gateway.brought).toEqual([]);
    gateways.set([stranger.address, live.address]);
    const shim = new Shim();
    await expect.poll(() => live.gateway.brought.length).toBe(3);
    shim.socket.destroy();
  });

  test('one that restarts is waited for', async () => {
    const before = await gateway();
    gateways.set([before.address]);
    before.gateway.stop();
    const shim = new Shim();
    shim.send(API_FRAME.data, 'meanwhile');
    await sleep(250);
    const after = await gateway('gateway', Number(before.address.split(':')[1]));
    await expect.poll(() => after.gateway.brought[0]?.text).toBe('meanwhile');
    shim.socket.destroy();
  });

  test.each([
    ['none is known', [], 'named no gateway'],
    ['none lives', ['127.0.0.1:1'], 'ECONNREFUSED'],
  ])('%s: the client is told', async (_name, addresses, message) => {
    gateways.set(addresses);
    const shim = new Shim();
    await expect.poll(() => shim.closed).toBe(true);
    expect(shim.text).toContain('HTTP/1.1 503');
    expect(shim.text).toContain(message);
  });
});
