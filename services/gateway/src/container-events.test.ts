import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { ask, hijackRequest } from './testing/http-client.ts';

let cluster: FakeCluster;
let id: string;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
  const config = {
    Image: 'busybox',
    Cmd: ['cat'],
    Tty: true,
    OpenStdin: true,
    Labels: { tier: 'web', name: 'spoofed' },
  };
  const created = await ask(cluster.socketPath, 'POST', '/containers/create?name=told', config);
  id = (created.json as { Id: string }).Id;
  await ask(cluster.socketPath, 'POST', `/containers/${id}/start`);
  cluster.agent.archives.set('/a', Buffer.from('tar'));
});
afterAll(() => cluster.stop());

const DETACH = Buffer.from([16, 17]);
const PATIENCE = { timeout: 20_000 };

/** What is told from now on, each as its action and the attributes that are not the container's. */
function news(): () => (readonly [string, object])[] {
  const begin = cluster.told.length;
  return () =>
    cluster.told.slice(begin).map(({ action, attributes }) => {
      const { name: _name, image: _image, tier: _tier, 'atoll.node': _node, ...rest } = attributes;
      return [action, rest];
    });
}

async function execute(): Promise<string> {
  const config = { Cmd: ['cat'], AttachStdin: true, AttachStdout: true, Tty: true };
  const { json } = await ask(cluster.socketPath, 'POST', `/containers/${id}/exec`, config);
  return (json as { Id: string }).Id;
}

describe('what clients do with a container is told', () => {
  test.each([
    ['GET', '/containers/told/top', 'top', {}],
    ['POST', '/containers/told/resize?h=30&w=90', 'resize', { height: '30', width: '90' }],
    ['GET', '/containers/told/archive?path=/a', 'archive-path', {}],
    ['PUT', '/containers/told/archive?path=/a', 'extract-to-dir', {}],
    ['GET', '/containers/told/export', 'export', {}],
  ])('%s %s: %s', async (method, path, action, attributes) => {
    const told = news();
    const { status } = await ask(cluster.socketPath, method, path);
    expect(status).toBe(200);
    await expect.poll(told, PATIENCE).toEqual([[action, attributes]]);
  });

  test.each([
    ['HEAD', '/containers/told/archive?path=/a', 200],
    ['GET', '/containers/told/archive?path=/nope', 404],
    ['POST', '/containers/told/resize?h=x&w=90', 400],
  ])('%s %s: nothing', async (method, path, status) => {
    const told = news();
    expect((await ask(cluster.socketPath, method, path)).status).toBe(status);
    expect(told()).toEqual([]);
  });

  test('with the words of docker, and no label poses as one of them', async () => {
    await ask(cluster.socketPath, 'GET', '/containers/told/top');
    expect(cluster.told.at(-1)).toMatchObject({
      type: 'container',
      actorId: id,
      attributes: { name: 'told', image: 'busybox', tier: 'web', 'atoll.node': 'h1' },
    });
  });

  test('attach, and detach by keys', async () => {
    const told = news();
    const { socket, rest } = await hijackRequest(
      cluster.socketPath,
      `/containers/${id}/attach?stream=1&stdin=1&stdout=1`,
    );
    socket.write(DETACH);
    await rest;
    socket.end();
    await expect.poll(told, PATIENCE).toEqual([
      ['attach', {}],
      ['detach', {}],
    ]);
  });

  test('exec_detach by keys, and only by them', async () => {
    const told = news();
    const [pressed, left] = [await execute(), await execute()];
    const away = await hijackRequest(cluster.socketPath, `/exec/${left}/start`, { body: { Tty: true } });
    away.socket.destroy();
    const { socket, rest } = await hijackRequest(cluster.socketPath, `/exec/${pressed}/start`, { body: { Tty: true } });
    socket.write(DETACH);
    await rest;
    socket.end();
    await expect.poll(told, PATIENCE).toEqual([['exec_detach', { execID: pressed }]]);
  });

  test.each([
    ['/containers/prune', 'container', '0'],
    ['/images/prune', 'image', '5'],
  ])('%s, which has no actor', async (path, type, reclaimed) => {
    expect((await ask(cluster.socketPath, 'POST', path)).status).toBe(200);
    expect(cluster.told.at(-1)).toMatchObject({ type, action: 'prune', attributes: { reclaimed } });
  });
});
