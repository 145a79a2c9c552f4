import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type FakeCluster, startFakeCluster } from '../testing/fake-cluster.ts';
import { ask } from '../testing/http-client.ts';
import { requireWebSocket } from './websocket.ts';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
});
afterAll(() => cluster.stop());

async function create(config: object): Promise<string> {
  const answer = await ask(cluster.socketPath, 'POST', '/containers/create', { Image: 'busybox', ...config });
  expect(answer.status, answer.text).toBe(201);
  return (answer.json as { Id: string }).Id;
}

const start = (id: string) => ask(cluster.socketPath, 'POST', `/containers/${id}/start`);
const told = (id: string) => cluster.told.filter((event) => event.actorId === id).map((event) => event.action);
const PATIENCE = { timeout: 20_000 };
const ALL = 'stream=1&stdin=1&stdout=1&stderr=1';

interface Opened {
  readonly webSocket: WebSocket;
  readonly messages: { readonly data: Buffer; readonly binary: boolean }[];
  readonly text: () => string;
  /** The close code. */
  readonly closed: Promise<number>;
}

async function open(path: string): Promise<Opened> {
  const webSocket = new WebSocket(`ws+unix://${cluster.socketPath}:${path}`);
  const messages: Opened['messages'] = [];
  webSocket.on('message', (data: Buffer, binary: boolean) => messages.push({ data, binary }));
  const closed = once(webSocket, 'close').then(([code]) => code as number);
  await once(webSocket, 'open');
  return { webSocket, messages, closed, text: () => messages.map(({ data }) => data.toString()).join('') };
}

describe('attach by WebSocket', () => {
  test.each([
    ['binary messages', 51, true, ALL],
    ['text messages before 1.28', 27, false, ALL],
    ['all streams before 1.42, whatever is asked', 41, true, 'stream=1'],
  ])('%s, never framed, and a normal close at the end', async (_name, minor, binary, query) => {
    const id = await create({ Cmd: ['echo', 'hi'] });
    const { messages, closed } = await open(`/v1.${minor}/containers/${id}/attach/ws?${query}`);
    await start(id);
    expect(await closed).toBe(1000);
    expect(messages).toEqual([{ data: Buffer.from('hi\n'), binary }]);
    expect(told(id)).toEqual(['attach']);
  });

  test('input goes both as text and as bytes, 3 MB of it whole', async () => {
    const id = await create({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true, Tty: true });
    const keys = Array.from({ length: 6 }, () => 'ctrl-@').join(',');
    const { webSocket, messages } = await open(`/containers/${id}/attach/ws?${ALL}&detachKeys=${keys}`);
    await start(id);
    const sent = randomBytes(3_000_000);
    webSocket.send('text ');
    webSocket.send(sent);
    const received = () => Buffer.concat(messages.map(({ data }) => data));
    await expect.poll(() => received().length, PATIENCE).toBe(sent.length + 5);
    expect(sha(received())).toBe(sha(Buffer.concat([Buffer.from('text '), sent])));
    webSocket.terminate();
    await expect.poll(() => cluster.agent.attachments, PATIENCE).toBe(0);
  });

  test('a slow reader holds the process back', async () => {
    const id = await create({ Cmd: ['flood', '8388608'] });
    const { webSocket, text, closed } = await open(`/containers/${id}/attach/ws?${ALL}`);
    webSocket.pause();
    await start(id);
    await sleep(500);
    expect(cluster.agent.containers.get(id)?.process?.output.ended).toBe(false);
    webSocket.resume();
    await closed;
    expect(text().length).toBe(8_388_608);
  });

  test.each([
    ['detach keys', { Tty: true }, (webSocket: WebSocket) => webSocket.send(Buffer.from([16, 17]))],
    ['a client that closes', {}, (webSocket: WebSocket) => webSocket.close()],
    ['a client that is cut off', {}, (webSocket: WebSocket) => webSocket.terminate()],
    ['a message that is too large', {}, (webSocket: WebSocket) => webSocket.send(Buffer.alloc(5 * 1024 * 1024))],
  ])('%s ends the attachment, not the container', async (_name, config, leave) => {
    const id = await create({ Cmd: ['cat'], OpenStdin: true, ...config });
    const { webSocket, closed } = await open(`/containers/${id}/attach/ws?${ALL}`);
    await start(id);
    leave(webSocket);
    await closed;
    await expect.poll(() => cluster.agent.attachments, PATIENCE).toBe(0);
    await expect.poll(() => told(id), PATIENCE).toEqual(['attach', 'detach']);
    const { json } = await ask(cluster.socketPath, 'GET', `/containers/${id}/json`);
    expect(json).toMatchObject({ State: { Running: true } });
  });

  const KEY = randomBytes(16).toString('base64');
  const HANDSHAKE = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': KEY };
  test.each<[string, string, Record<string, string>, number, string]>([
    ['no upgrade', 'ID', {}, 400, 'not a WebSocket handshake'],
    ['another version', 'ID', { ...HANDSHAKE, 'sec-websocket-version': '8' }, 400, 'Sec-WebSocket-Version'],
    ['an unknown container', 'nope', { ...HANDSHAKE, 'sec-websocket-version': '13' }, 404, 'No such container'],
    ['bad detach keys', 'ID?detachKeys=alt-x', {}, 400, 'alt-x'],
  ])('is refused as an ordinary answer: %s', async (_name, target, headers, status, message) => {
    const id = await create({ Cmd: ['cat'] });
    const [name, query = ''] = target.replace('ID', id).split('?');
    const path = `/containers/${name}/attach/ws?${query}`;
    const answer = await ask(cluster.socketPath, 'GET', path, undefined, headers);
    expect([answer.status, answer.json]).toEqual([status, { message: expect.stringContaining(message) }]);
  });
});

describe('the origin of a handshake', () => {
  const headers = {
    host: 'atoll.example:2376',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
  };
  const request = (origin: string | undefined, remoteAddress: string | undefined): IncomingMessage =>
    ({ method: 'GET', headers: { ...headers, origin }, socket: { remoteAddress } }) as IncomingMessage;

  test.each<[string, string | undefined, string | undefined]>([
    ['none, as of programs', undefined, '192.0.2.1'],
    ['the host itself', 'https://atoll.example:2376', '192.0.2.1'],
    ['any on the unix socket, where no browser comes', 'https://elsewhere.example', undefined],
  ])('is taken: %s', (_name, origin, remoteAddress) => {
    expect(() => requireWebSocket(request(origin, remoteAddress))).not.toThrow();
  });

  test.each([
    ['another host', 'https://elsewhere.example'],
    ['another port', 'https://atoll.example'],
    ['a page without one', 'null'],
  ])('is refused over TCP: %s', (_name, origin) => {
    expect(() => requireWebSocket(request(origin, '192.0.2.1'))).toThrow('may not attach here');
  });
});

function sha(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
