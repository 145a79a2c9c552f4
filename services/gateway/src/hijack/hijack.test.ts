import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from '../testing/fake-cluster.ts';
import { ask, frames, hijackRequest } from '../testing/http-client.ts';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
});
afterAll(() => cluster.stop());

async function create(config: object): Promise<string> {
  const answer = await ask(cluster.socketPath, 'POST', '/v1.51/containers/create', { Image: 'busybox', ...config });
  expect(answer.status, answer.text).toBe(201);
  return (answer.json as { Id: string }).Id;
}

const start = (id: string) => ask(cluster.socketPath, 'POST', `/containers/${id}/start`);
const ALL = 'stream=1&stdin=1&stdout=1&stderr=1';

describe('attach', () => {
  test.each([
    ['with upgrade, no TTY', 51, true, false, '101 UPGRADED', 'application/vnd.docker.multiplexed-stream'],
    ['with upgrade, TTY', 51, true, true, '101 UPGRADED', 'application/vnd.docker.raw-stream'],
    ['with upgrade, old client', 41, true, false, '101 UPGRADED', 'application/vnd.docker.raw-stream'],
    ['without upgrade', 51, false, false, '200 OK', 'application/vnd.docker.multiplexed-stream'],
  ])('%s', async (_name, minor, upgrade, tty, status, type) => {
    const id = await create({ Cmd: ['echo', 'hi'], Tty: tty });
    const path = `/v1.${minor}/containers/${id}/attach?stream=1&stdout=1&stderr=1`;
    const { head, rest } = await hijackRequest(cluster.socketPath, path, { upgrade });
    expect(head).toContain(`HTTP/1.1 ${status}`);
    expect(head).toContain(`Content-Type: ${type}`);
    await start(id);
    const data = await rest;
    if (tty) expect(data.toString()).toBe('hi\n');
    else expect(frames(data)).toEqual([[1, 'hi\n']]);
  });

  test('stderr is told apart', async () => {
    const id = await create({ Cmd: ['err', 'oops'] });
    const { rest } = await hijackRequest(cluster.socketPath, `/containers/${id}/attach?${ALL}`);
    await start(id);
    expect(frames(await rest)).toEqual([[2, 'oops\n']]);
  });

  test('3 MB of stdin arrive whole, and the half-close is EOF while the output stays open', async () => {
    const id = await create({ Cmd: ['cat'], OpenStdin: true, StdinOnce: true, Tty: true });
    const { socket, rest } = await hijackRequest(
      cluster.socketPath,
      `/containers/${id}/attach?${ALL}&detachKeys=ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@,ctrl-@`,
    );
    await start(id);
    const sent = randomBytes(3_000_000);
    socket.end(sent);
    const received = await rest;
    expect(received.length).toBe(sent.length);
    expect(sha(received)).toBe(sha(sent));
  });

  test('stdin of a container that did not open it goes nowhere', async () => {
    const id = await create({ Cmd: ['echo', 'x'] });
    const { socket, rest } = await hijackRequest(cluster.socketPath, `/containers/${id}/attach?${ALL}`);
    socket.write('ignored');
    await start(id);
    expect(frames(await rest)).toEqual([[1, 'x\n']]);
  });

  test('a slow reader holds the process back', async () => {
    const id = await create({ Cmd: ['flood', '8388608'] });
    const { socket, rest } = await hijackRequest(cluster.socketPath, `/containers/${id}/attach?${ALL}`);
    socket.pause();
    await start(id);
    await sleep(500);
    const process = cluster.agent.containers.get(id)?.process;
    expect(process?.output.ended).toBe(false);
    socket.resume();
    const received = frames(await rest).reduce((sum, [, text]) => sum + text.length, 0);
    expect(received).toBe(8_388_608);
  });

  test('a client that leaves ends the attachment, not the container', async () => {
    const id = await create({ Cmd: ['cat'], OpenStdin: true });
    const { socket } = await hijackRequest(cluster.socketPath, `/containers/${id}/attach?${ALL}`);
    await start(id);
    socket.destroy();
    await expect.poll(() => cluster.agent.attachments).toBe(0);
    const { json } = await ask(cluster.socketPath, 'GET', `/containers/${id}/json`);
    expect(json).toMatchObject({ State: { Running: true } });
  });

  test('detach keys end the connection and leave the container', async () => {
    const id = await create({ Cmd: ['cat'], OpenStdin: true, Tty: true });
    const { socket, rest } = await hijackRequest(
      cluster.socketPath,
      `/containers/${id}/attach?${ALL}&detachKeys=ctrl-a,d`,
    );
    await start(id);
    socket.write('ab');
    const typed = () =>
      cluster.agent.containers
        .get(id)
        ?.process?.log.map(({ data }) => data.toString())
        .join('');
    await expect.poll(typed).toBe('ab');
    socket.write(Buffer.from([1]));
    socket.write(Buffer.from([100, 99]));
    expect((await rest).toString()).toBe('ab');
    expect(typed()).toBe('ab');
    const { json } = await ask(cluster.socketPath, 'GET', `/containers/${id}/json`);
    expect(json).toMatchObject({ State: { Running: true } });
  });

  test('errors come before the connection is taken', async () => {
    const missing = await ask(cluster.socketPath, 'POST', `/containers/nope/attach?${ALL}`);
    expect([missing.status, missing.json]).toEqual([404, { message: 'No such container: nope' }]);
    const id = await create({ Cmd: ['cat'] });
    const keys = await ask(cluster.socketPath, 'POST', `/containers/${id}/attach?${ALL}&detachKeys=alt-x`);
    expect(keys.status).toBe(400);
  });
});

describe('exec', () => {
  async function createExec(id: string, spec: object): Promise<string> {
    const answer = await ask(cluster.socketPath, 'POST', `/containers/${id}/exec`, spec);
    expect(answer.status, answer.text).toBe(201);
    return (answer.json as { Id: string }).Id;
  }

  test('runs with input, output and exit code', async () => {
    const id = await create({ Cmd: ['sleep'] });
    await start(id);
    const exec = await createExec(id, { Cmd: ['count'], AttachStdin: true, AttachStdout: true });
    const body = { Detach: false, Tty: false };
    const { socket, rest } = await hijackRequest(cluster.socketPath, `/exec/${exec}/start`, { body });
    socket.end(randomBytes(100_000));
    expect(frames(await rest)).toEqual([[1, '100000\n']]);
    await expect
      .poll(async () => (await ask(cluster.socketPath, 'GET', `/exec/${exec}/json`)).json)
      .toMatchObject({ ExitCode: 0, Running: false, ContainerID: id, ProcessConfig: { entrypoint: 'count' } });
    const resized = await ask(cluster.socketPath, 'POST', `/exec/${exec}/resize?h=10&w=20`);
    expect(resized.status).toBe(200);
    expect(cluster.agent.resizes.at(-1)).toEqual({ height: 10, width: 20 });
  });

  test('detached', async () => {
    const id = await create({ Cmd: ['sleep'] });
    await start(id);
    const exec = await createExec(id, { Cmd: ['exit', '4'] });
    expect((await ask(cluster.socketPath, 'POST', `/exec/${exec}/start`, { Detach: true })).status).toBe(200);
    await expect
      .poll(async () => (await ask(cluster.socketPath, 'GET', `/exec/${exec}/json`)).json)
      .toMatchObject({ ExitCode: 4 });
  });

  test('a program that cannot be run is told in the stream', async () => {
    const id = await create({ Cmd: ['sleep'] });
    await start(id);
    const exec = await createExec(id, { Cmd: ['nosuch'], AttachStdout: true });
    const { head, rest } = await hijackRequest(cluster.socketPath, `/exec/${exec}/start`, { body: {} });
    expect(head).toContain('101 UPGRADED');
    expect(frames(await rest)).toEqual([[2, 'exec: "nosuch": executable file not found in $PATH\r\n']]);
  });

  test.each([
    ['no command', {}, 400, 'No exec command specified'],
    ['an unknown field', { Cmd: ['a'], Foo: 1 }, 400, 'Foo: unknown field'],
    ['a wrong type', { Cmd: ['a'], Tty: 'yes' }, 400, 'Tty'],
  ])('%s is refused', async (_name, body, status, message) => {
    const id = await create({ Cmd: ['sleep'] });
    await start(id);
    const answer = await ask(cluster.socketPath, 'POST', `/containers/${id}/exec`, body);
    expect(answer.status).toBe(status);
    expect((answer.json as { message: string }).message).toContain(message);
  });

  test('an unknown id and a stopped container', async () => {
    const unknown = await ask(cluster.socketPath, 'POST', '/exec/abc/start', {});
    expect([unknown.status, unknown.json]).toEqual([404, { message: 'No such exec instance: abc' }]);
    const id = await create({ Cmd: ['sleep'] });
    const stopped = await ask(cluster.socketPath, 'POST', `/containers/${id}/exec`, { Cmd: ['a'] });
    expect(stopped.status).toBe(409);
  });
});

function sha(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
