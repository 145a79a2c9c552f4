import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { reasonOf } from '@atoll/errors';
import { connectPeer } from '@atoll/rpc';
import { testPki } from '@atoll/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hijack } from '../hijack/upgrade.ts';
import { ping } from '../resources/system/handlers.ts';
import type { RequestContext } from '../routing/request-context.ts';
import { RouteTable } from '../routing/route-table.ts';
import { Router } from '../routing/router.ts';
import { ask } from '../testing/http-client.ts';
import { DockerServer, type DockerServerOptions } from './docker-server.ts';

let directory: string;
let socketPath: string;
const started: DockerServer[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'atoll-server-'));
  socketPath = join(directory, 'run', 'docker.sock');
});
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop(50);
  await rm(directory, { recursive: true, force: true });
});

function serve(options: Partial<DockerServerOptions> = {}): DockerServer {
  const forever = ({ signal }: { signal: AbortSignal }) =>
    new Promise<void>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const readAll = async ({ request, response }: RequestContext, delayMs: number) => {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    let length = 0;
    for await (const chunk of request) length += (chunk as Buffer).length;
    response.end(String(length));
  };
  const table = new RouteTable({
    SystemPing: ping(),
    SystemEvents: forever,
    ImageLoad: (context) => readAll(context, 0),
    ImageBuild: (context) => readAll(context, 1_000),
    ContainerAttach: async (context) => {
      const socket = hijack(context, 'application/octet-stream').resume();
      socket.once('end', () => setTimeout(() => socket.end('said after the end'), 50));
    },
  });
  const router = new Router({ table, headers: {}, onError: () => undefined });
  const server = new DockerServer({ router, socketPath, ...options });
  started.push(server);
  return server;
}

describe('the socket', () => {
  test('is for its owner and group only', async () => {
    await serve().start();
    expect((await stat(socketPath)).mode & 0o777).toBe(0o660);
    expect((await ask(socketPath, 'GET', '/_ping')).text).toBe('OK');
  });
  test('of a process that is gone is replaced', async () => {
    await mkdir(dirname(socketPath), { recursive: true });
    const script = 'net.createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ['-e', script, socketPath]);
    expect((await stat(socketPath)).isSocket()).toBe(true);
    await serve().start();
    expect((await ask(socketPath, 'GET', '/_ping')).status).toBe(200);
  });
  test('that somebody serves is not taken', async () => {
    await serve().start();
    await expect(serve().start()).rejects.toThrow('is served by another process');
  });
  test('is not put in the place of a file', async () => {
    socketPath = join(directory, 'file');
    await writeFile(socketPath, 'precious');
    await expect(serve().start()).rejects.toThrow('is not a socket');
  });
});

describe('TCP without TLS', () => {
  const onPort = (port: number, headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const call = request({ host: '127.0.0.1', port, path: '/_ping', headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('error', reject);
      call.end();
    });
  test.each([
    ['a client of this machine', {}, 200],
    ['a web page', { origin: 'http://evil.example' }, 403],
    ['a rebound name', { host: 'evil.example' }, 403],
    ['localhost', { host: 'localhost:2375' }, 200],
  ])('%s', async (_name, headers, status) => {
    const port = await serve({ tcp: { host: '127.0.0.1', port: 0 } }).start();
    expect(await onPort(port ?? 0, headers)).toBe(status);
  });
  test('is refused beyond loopback', async () => {
    const error = await serve({ tcp: { host: '0.0.0.0', port: 0 } })
      .start()
      .catch((thrown: unknown) => thrown);
    expect(reasonOf(error)).toBe('invalid-argument');
    expect((error as Error).message).toContain('needs TLS');
  });
});

test('TLS leaves the output open when a client has ended its input', async () => {
  const tls = await (await testPki()).identity('gateway', 'g1');
  const port = await serve({ tcp: { host: '127.0.0.1', port: 0, tls } }).start();
  const { socket } = connectPeer(`127.0.0.1:${port}`, tls, 'gateway');
  let received = '';
  const ended = new Promise((resolve) => socket.on('end', resolve));
  socket.on('data', (part: Buffer) => {
    received += part.toString();
    if (received.includes('101 UPGRADED')) socket.end();
  });
  const upgrade = 'Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n';
  socket.write(`POST /containers/x/attach HTTP/1.1\r\nHost: d\r\n${upgrade}\r\n`);
  await ended;
  expect(received).toMatch(/said after the end$/);
});

describe('a body', () => {
  test('that stops coming is given up', async () => {
    await serve({ bodyIdleMs: 100 }).start();
    const ended = new Promise((resolve) => {
      const socket = connect(socketPath);
      socket.on('error', () => undefined);
      socket.on('close', resolve);
      socket.write('POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 10\r\n\r\nabc');
    });
    await ended;
  });
  test('that nobody reads yet is not', async () => {
    await serve({ bodyIdleMs: 250 }).start();
    const body = Buffer.alloc(2_000_000, 'x');
    const { status, text } = await ask(socketPath, 'POST', '/build', body);
    expect([status, text]).toEqual([200, String(body.length)]);
  });
});

test('a stop ends requests that have no end', async () => {
  const server = serve();
  await server.start();
  const endless = ask(socketPath, 'GET', '/events');
  await new Promise((resolve) => setTimeout(resolve, 50));
  await server.stop();
  expect((await endless).status).toBe(503);
});
