import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { ForwardedPort, Target } from './forwarded-port.ts';
import { PortForwarder } from './port-forwarder.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A server that answers EOF of its client with what it heard. */
async function upstream(answer: (heard: string) => string): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = '';
    socket.on('data', (chunk) => {
      heard += String(chunk);
    });
    socket.on('end', () => socket.end(answer(heard)));
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function forwarder(targetOf: () => Target | undefined, loopbackOnly = false) {
  const errors: unknown[] = [];
  const made = new PortForwarder({
    targetOf,
    loopbackOnly: () => loopbackOnly,
    onError: (_owner, _port, error) => errors.push(error),
  });
  closing.push(() => made.closeAll());
  return { made, errors };
}

function ask(port: number, text: string, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ port, host, allowHalfOpen: true });
    socket.on('data', (chunk) => {
      answer += String(chunk);
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.end(text);
  });
}

const tcp = (hostPort: number, hostIp = '127.0.0.1'): ForwardedPort => ({
  protocol: 'tcp',
  hostIp,
  hostPort,
  containerPort: 80,
});

describe('TCP', () => {
  test('a half-close reaches the other side and the answer comes back', async () => {
    const port = await upstream((heard) => `heard ${heard}`);
    const { made } = forwarder(() => ({ host: '127.0.0.1', port }));
    const listen = await freePort();
    await made.open('c1', [tcp(listen)]);
    expect(await ask(listen, 'hello')).toBe('heard hello');
    await made.close('c1');
    expect(await ask(listen, 'hello')).toBe('ECONNREFUSED');
  });

  test('connections go where the container is now', async () => {
    const [first, second] = [await upstream(() => 'first'), await upstream(() => 'second')];
    let port = first;
    const { made } = forwarder(() => ({ host: '127.0.0.1', port }));
    const listen = await freePort();
    await made.open('c1', [tcp(listen)]);
    expect(await ask(listen, '')).toBe('first');
    port = second;
    await made.open('c1', [tcp(listen)]);
    expect(await ask(listen, '')).toBe('second');
  });

  test('a port in use is refused in docker words, and what was opened with it is closed', async () => {
    const { made } = forwarder(() => undefined);
    const [taken, free] = [await freePort(), await freePort()];
    await made.open('c1', [tcp(taken)]);
    await expect(made.open('c2', [tcp(free), tcp(taken)])).rejects.toThrow(
      `Bind for 127.0.0.1:${taken} failed: port is already allocated`,
    );
    expect(await ask(free, '')).toBe('ECONNREFUSED');
    await made.open('c1', []);
    await made.open('c2', [tcp(taken)]);
  });

  test('what the mirror shows is followed; a taken port is reported', async () => {
    const { made, errors } = forwarder(() => undefined);
    const listen = await freePort();
    await made.open('c1', [tcp(listen)]);
    made.follow('c2', [tcp(listen)]);
    await expect.poll(() => errors.length).toBe(1);
    made.follow('c1', []);
    await expect.poll(() => ask(listen, '')).toBe('ECONNREFUSED');
  });

  test('on the own machine only loopback is listened on', async () => {
    const port = await upstream(() => 'here');
    const { made } = forwarder(() => ({ host: '127.0.0.1', port }), true);
    const listen = await freePort();
    await made.open('c1', [tcp(listen, '')]);
    expect(await ask(listen, '')).toBe('here');
    expect(await ask(listen, '', '127.0.0.2')).toBe('ECONNREFUSED');
    await made.open('c2', [tcp(listen, '192.0.2.1')]);
  });
});

test('UDP answers go back to the client that asked', async () => {
  const echo = createSocket('udp4');
  echo.on('message', (data, from) => echo.send(`echo ${String(data)}`, from.port, from.address));
  await new Promise<void>((resolve) => echo.bind(0, '127.0.0.1', resolve));
  closing.push(async () => echo.close());
  const { made } = forwarder(() => ({ host: '127.0.0.1', port: echo.address().port }));
  const listen = await freePort();
  await made.open('c1', [{ ...tcp(listen), protocol: 'udp' }]);
  const answers = await Promise.all(
    ['a', 'b'].map(
      (text) =>
        new Promise((resolve) => {
          const client = createSocket('udp4');
          client.on('message', (data) => {
            client.close();
            resolve(String(data));
          });
          client.send(text, listen, '127.0.0.1');
        }),
    ),
  );
  expect(answers).toEqual(['echo a', 'echo b']);
});
