import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { ask } from './testing/http-client.ts';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
});
afterAll(() => cluster.stop());

const get = (path: string) => ask(cluster.socketPath, 'GET', path);
const post = (path: string, body?: object | string | Buffer, headers?: Record<string, string>) =>
  ask(cluster.socketPath, 'POST', path, body, headers);

async function run(config: object, name = ''): Promise<string> {
  const created = await post(`/containers/create${name === '' ? '' : `?name=${name}`}`, {
    Image: 'busybox',
    ...config,
  });
  expect(created.status, created.text).toBe(201);
  const { Id } = created.json as { Id: string };
  expect((await post(`/containers/${Id}/start`)).status).toBe(204);
  return Id;
}

describe('every answer', () => {
  test('says who serves it', async () => {
    const { status, headers, text } = await get('/_ping');
    expect([status, text]).toEqual([200, 'OK']);
    expect(headers).toMatchObject({
      'api-version': '1.51',
      'docker-experimental': 'false',
      ostype: 'linux',
      'builder-version': '1',
    });
    expect((await ask(cluster.socketPath, 'HEAD', '/_ping')).headers['api-version']).toBe('1.51');
  });
  test.each([
    ['an unknown path', 'GET', '/nope', 404, 'page not found'],
    ['a version too new', 'GET', '/v1.99/info', 400, 'client version 1.99 is too new'],
    ['a version too old', 'GET', '/v1.12/info', 400, 'client version 1.12 is too old'],
    ['what is not built', 'GET', '/services', 501, 'ServiceList'],
    ['BuildKit', 'POST', '/grpc', 501, 'DOCKER_BUILDKIT=0'],
    ['no swarm', 'GET', '/swarm', 503, 'This node is not a swarm manager'],
    ['bad percent-encoding', 'GET', '/containers/%zz/json', 400, 'percent-encoding'],
    ['an unknown container', 'GET', '/containers/nope/json', 404, 'No such container: nope'],
    ['an unknown image', 'GET', '/images/nope/json', 404, 'No such image: nope:latest'],
    ['a number that is none', 'GET', '/containers/json?limit=x', 400, '"limit"'],
    ['a flag that is none', 'GET', '/containers/json?all=maybe', 400, '"all"'],
    ['an unknown filter', 'GET', '/containers/json?filters={"x":["y"]}', 400, "invalid filter 'x'"],
  ])('%s', async (_name, method, path, status, message) => {
    const answer = await ask(cluster.socketPath, method, path);
    expect(answer.status).toBe(status);
    expect((answer.json as { message: string }).message).toContain(message);
  });
});

describe('what an image name means', () => {
  const imageOf = async (name: string): Promise<string | undefined> => {
    const { Id } = (await post('/containers/create', { Image: name })).json as { Id: string };
    const { Image } = (await get(`/containers/${Id}/json`)).json as { Image: string };
    await ask(cluster.socketPath, 'DELETE', `/containers/${Id}`);
    return Image;
  };
  test('is asked for each create, its content once', async () => {
    const one = cluster.store.add('moves:latest', { config: { Cmd: ['one'] } });
    const before = cluster.store.resolved;
    expect([await imageOf('moves'), await imageOf('moves')]).toEqual([one.id, one.id]);
    expect(cluster.store.resolved - before).toBe(1);
    const two = cluster.store.add('moves:latest', { config: { Cmd: ['two'] } });
    expect(await imageOf('moves')).toBe(two.id);
    // The same config in another manifest has its layers elsewhere.
    cluster.store.images.set('moves:latest', { ...two, manifestDigest: 'sha256:other' });
    await imageOf('moves');
    expect(cluster.store.resolved - before).toBe(3);
    cluster.store.images.delete('moves:latest');
    const count = async (): Promise<number> => ((await get('/containers/json?all=1')).json as object[]).length;
    const containers = await count();
    expect((await post('/containers/create', { Image: 'moves' })).status).toBe(404);
    expect(await count()).toBe(containers);
  });
});

describe('bodies', () => {
  const json = { 'content-type': 'application/json' };
  test.each<[string, string, Record<string, string>, number, string]>([
    ['malformed', '{"Image":', json, 400, 'invalid JSON'],
    ['twice the same name', '{"Image":"a","Image":"b"}', json, 400, '"Image" is given twice'],
    ['something behind', '{"Image":"busybox"} x', json, 400, 'invalid JSON'],
    ['another type', 'Image=busybox', { 'content-type': 'text/plain' }, 400, 'unsupported Content-Type'],
    ['none', '', json, 400, 'EOF'],
    ['no image', '{}', json, 400, 'Image'],
    ['an image that is missing', '{"Image":"gone"}', json, 404, 'No such image: gone:latest'],
  ])('%s', async (_name, body, headers, status, message) => {
    const answer = await post('/containers/create', body, headers);
    expect(answer.status).toBe(status);
    expect((answer.json as { message: string }).message).toContain(message);
  });
  test('too large, by its announced length and by what comes', async () => {
    const announced = await post('/containers/create', '{}', { ...json, 'content-length': '5000000' }).catch(
      () => undefined,
    );
    expect(announced?.status ?? 413).toBe(413);
    const chunked = await new Promise<number>((resolve) => {
      const call = request(
        { socketPath: cluster.socketPath, method: 'POST', path: '/containers/create', headers: json, agent: false },
        (response) => {
          resolve(response.statusCode ?? 0);
          call.destroy();
        },
      );
      call.on('error', () => undefined);
      for (let piece = 0; piece < 80; piece++) call.write(Buffer.alloc(65_536, ' '));
    });
    expect(chunked).toBe(413);
  });
});

describe('a container', () => {
  test('is seen at once by who made it, and gone at once when removed', async () => {
    const id = await run({ Cmd: ['sleep'], Labels: { a: 'b' } }, 'seen');
    expect((await get('/containers/json')).json).toMatchObject([{ Id: id, State: 'running', Names: ['/seen'] }]);
    expect((await get(`/containers/${id.slice(0, 8)}/json`)).json).toMatchObject({ Name: '/seen' });
    expect((await post('/containers/seen/start')).status).toBe(304);
    expect((await post('/containers/seen/rename?name=other')).status).toBe(204);
    expect((await get('/containers/seen/json')).status).toBe(404);
    expect((await ask(cluster.socketPath, 'DELETE', '/containers/other')).status).toBe(409);
    expect((await post('/containers/other/stop')).status).toBe(204);
    expect((await post('/containers/other/stop')).status).toBe(304);
    expect((await post('/containers/other/kill')).status).toBe(409);
    expect((await ask(cluster.socketPath, 'DELETE', '/containers/other')).status).toBe(204);
    expect((await get(`/containers/${id}/json`)).status).toBe(404);
    expect((await get('/containers/json?all=1')).json).toEqual([]);
  });

  test('has a name even when none is given, and names are unique', async () => {
    const id = await run({ Cmd: ['sleep'] });
    const { json } = await get(`/containers/${id}/json`);
    const name = (json as { Name: string }).Name.slice(1);
    expect(name).toMatch(/^[a-z]+_[a-z]+\d*$/);
    const again = await post(`/containers/create?name=${name}`, { Image: 'busybox' });
    expect([again.status, (again.json as { message: string }).message]).toEqual([
      409,
      expect.stringContaining(`"/${name}" is already in use`),
    ]);
    await ask(cluster.socketPath, 'DELETE', `/containers/${id}?force=1`);
  });

  test.each([
    ['next-exit', '/wait?condition=next-exit'],
    ['removed', '/wait?condition=removed'],
  ])('wait for %s answers its head before the start', async (_name, path) => {
    const created = await post('/containers/create', {
      Image: 'busybox',
      Cmd: ['exit', '3'],
      HostConfig: { AutoRemove: true },
    });
    const { Id } = created.json as { Id: string };
    const code = await new Promise((resolve, reject) => {
      const call = request({
        socketPath: cluster.socketPath,
        method: 'POST',
        path: `/containers/${Id}${path}`,
        agent: false,
      });
      call.on('error', reject);
      call.on('response', (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += String(chunk);
        });
        response.on('end', () => resolve(JSON.parse(text)));
        void post(`/containers/${Id}/start`);
      });
      call.end();
    });
    expect(code).toEqual({ StatusCode: 3 });
    await expect.poll(async () => (await get(`/containers/${Id}/json`)).status).toBeOneOf([200, 404]);
  });

  test('shows logs, stats, processes, changes and files', async () => {
    const id = await run({ Cmd: ['echo', 'line'] });
    await expect.poll(async () => (await get(`/containers/${id}/logs?stdout=1`)).text.slice(8)).toBe('line\n');
    expect((await get(`/containers/${id}/logs`)).status).toBe(400);
    const stamped = await get(`/v1.51/containers/${id}/logs?stdout=1&timestamps=1&tail=1`);
    expect(stamped.headers['content-type']).toBe('application/vnd.docker.multiplexed-stream');
    expect(stamped.text).toContain('2023-11-14T22:13:20.000000000Z line\n');
    const live = await run({ Cmd: ['sleep'] });
    expect((await get(`/containers/${live}/stats?stream=0`)).json).toMatchObject({
      id: live,
      cpu_stats: { cpu_usage: { total_usage: 100 }, online_cpus: 2 },
      memory_stats: { usage: 4096, limit: 8192, stats: { cache: 1 } },
      networks: { eth0: { rx_bytes: 7 } },
    });
    expect((await get(`/containers/${live}/top`)).json).toEqual({
      Titles: ['PID', 'CMD'],
      Processes: [['1', 'sleep']],
    });
    expect((await get(`/containers/${live}/changes`)).json).toEqual([{ Path: '/tmp/new', Kind: 1 }]);
    expect(
      (await ask(cluster.socketPath, 'PUT', `/containers/${live}/archive?path=/tmp`, Buffer.alloc(600_000, 7))).status,
    ).toBe(200);
    const read = await get(`/containers/${live}/archive?path=/tmp`);
    expect(read.text.length).toBe(600_000);
    const stat = Buffer.from(String(read.headers['x-docker-container-path-stat']), 'base64').toString();
    expect(JSON.parse(stat)).toMatchObject({ name: 'tmp', mode: 0o644 });
    expect((await get(`/containers/${live}/archive?path=/nope`)).status).toBe(404);
    expect((await get(`/containers/${live}/archive`)).status).toBe(400);
    const sized = (await get('/containers/json?size=1')).json as { SizeRw: number; SizeRootFs: number }[];
    expect(sized[0]).toMatchObject({ SizeRw: 512, SizeRootFs: 612 });
  });

  test('is updated, within limits', async () => {
    const id = await run({ Cmd: ['sleep'] });
    expect((await post(`/containers/${id}/update`, { Memory: 8_000_000 })).json).toEqual({ Warnings: null });
    expect((await get(`/containers/${id}/json`)).json).toMatchObject({ HostConfig: { Memory: 8_000_000 } });
    expect((await post(`/containers/${id}/update`, { Memory: 1 })).status).toBe(400);
    expect((await post(`/containers/${id}/update`, { Devices: [{}, 1] })).status).toBe(400);
  });

  test('pruning takes what does not run', async () => {
    const ended = await run({ Cmd: ['sleep'], Labels: { prune: 'me' } });
    await post(`/containers/${ended}/stop`);
    const filters = encodeURIComponent('{"label":["prune"]}');
    expect((await post(`/containers/prune?filters=${filters}`)).json).toEqual({
      ContainersDeleted: [ended],
      SpaceReclaimed: 512,
    });
  });
});

describe('published ports', () => {
  test('answer here while the container runs', async () => {
    // The pretended host: its address is another one of this machine, its port the container's.
    const server = createServer((socket) => socket.end('from the host'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.77', resolve));
    const port = String((server.address() as { port: number }).port);
    const ExposedPorts = { '80/tcp': {} };
    const PortBindings = { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] };
    const id = await run({ Cmd: ['sleep'], ExposedPorts, HostConfig: { PortBindings } });
    expect(await read('127.0.0.1', Number(port))).toBe('from the host');
    expect((await get(`/containers/${id}/json`)).json).toMatchObject({
      NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] } },
    });
    expect(cluster.scheduler.records.get(id)?.ports).toMatchObject([{ hostIp: '' }]);
    const second = await post('/containers/create', { Image: 'busybox', Cmd: ['sleep'], HostConfig: { PortBindings } });
    const refused = await post(`/containers/${(second.json as { Id: string }).Id}/start`);
    expect(refused.status).toBe(500);
    expect((refused.json as { message: string }).message).toContain(
      `Bind for 127.0.0.1:${port} failed: port is already allocated`,
    );
    await post(`/containers/${id}/stop`);
    await expect.poll(() => read('127.0.0.1', Number(port))).toBe('ECONNREFUSED');
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('ports of containers that exist', () => {
  const asked = (binding: object, port = '80/tcp') => ({ PortBindings: { [port]: [binding] } });

  test('are published and withdrawn, and answer here meanwhile', async () => {
    const server = createServer((socket) => socket.end('from the host'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.77', resolve));
    const port = String((server.address() as { port: number }).port);
    const id = await run({ Cmd: ['sleep'] });
    const answer = await post(`/containers/${id}/ports`, asked({ HostIp: '127.0.0.1', HostPort: port }));
    expect(answer).toMatchObject({
      status: 200,
      json: { Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] } },
    });
    expect(await read('127.0.0.1', Number(port))).toBe('from the host');
    expect((await get(`/containers/${id}/json`)).json).toMatchObject({
      HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] } },
      NetworkSettings: { Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] } },
    });
    const gone = await post(`/containers/${id}/ports/remove`, asked({}));
    expect(gone).toMatchObject({
      status: 200,
      json: { Ports: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: port }] } },
    });
    await expect.poll(() => read('127.0.0.1', Number(port))).toBe('ECONNREFUSED');
    expect((await post(`/containers/${id}/ports/remove`, asked({}))).status).toBe(404);
    await new Promise((resolve) => server.close(resolve));
  });

  test('one that is taken on this machine is taken back', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    const id = await run({ Cmd: ['sleep'] });
    const refused = await post(`/containers/${id}/ports`, asked({ HostIp: '127.0.0.1', HostPort: String(port) }));
    expect(refused).toMatchObject({
      status: 409,
      json: { message: expect.stringContaining(`Bind for 127.0.0.1:${port} failed: port is already allocated`) },
    });
    expect(cluster.scheduler.records.get(id)?.ports).toEqual([]);
    await new Promise((resolve) => taken.close(resolve));
  });

  test.each<[string, string, object, number, string]>([
    ['no port', 'ports', { PortBindings: {} }, 400, 'PortBindings: at least one port has to be named'],
    ['no body', 'ports', {}, 400, 'PortBindings'],
    ['an unknown field', 'ports', { ...asked({}), Ports: [] }, 400, 'Ports'],
    ['a container port that is none', 'ports', asked({}, '0/tcp'), 400, 'invalid port "0/tcp"'],
    ['a host port that is none', 'ports', asked({ HostPort: 'x' }), 400, 'invalid port specification: "x"'],
    ['an address that is none', 'ports', asked({ HostIp: '1.2.3' }), 400, 'invalid IP address "1.2.3"'],
    [
      'a mode that is none',
      'ports',
      { ...asked({}), Mode: 'x' },
      400,
      'invalid value for Mode: "x", want ingress or host',
    ],
    ['a range to remove', 'ports/remove', asked({ HostPort: '80-90' }), 400, 'named by one host port, not a range'],
  ])('%s', async (_name, path, body, status, message) => {
    const id = await run({ Cmd: ['sleep'] });
    const answer = await post(`/containers/${id}/${path}`, body);
    expect(answer).toMatchObject({ status, json: { message: expect.stringContaining(message) } });
  });

  test('of a container that does not exist', async () => {
    expect(await post('/containers/nosuch/ports', asked({}))).toMatchObject({ status: 404 });
  });
});

test('a host port that was chosen and is taken here is chosen anew', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(cluster.scheduler.nextPort, '127.0.0.1', resolve));
  const id = await run({
    Cmd: ['sleep'],
    HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] } },
  });
  const { ports } = cluster.scheduler.records.get(id) ?? { ports: [] };
  expect(ports[0]?.hostPort).toBe((taken.address() as { port: number }).port + 1);
  expect((await get('/containers/json?all=1')).json).toHaveLength(cluster.scheduler.records.size);
  await ask(cluster.socketPath, 'DELETE', `/containers/${id}?force=1`);
  await new Promise((resolve) => taken.close(resolve));
});

function read(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, host);
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

describe('images', () => {
  test('are listed, inspected, tagged and removed', async () => {
    cluster.store.add('app:1', { config: { Cmd: ['run'], Env: ['A=1'] }, created: '2024-01-02T03:04:05Z' });
    expect((await get('/images/app:1/json')).json).toMatchObject({
      RepoTags: ['app:1'],
      Created: '2024-01-02T03:04:05Z',
      Config: { Cmd: ['run'], Env: ['A=1'] },
      Architecture: 'amd64',
    });
    expect((await get('/v1.40/images/app:1/json')).json).toMatchObject({ VirtualSize: 100, Config: { Hostname: '' } });
    const now = (await get('/images/app:1/json')).json as { Config: object };
    expect(now).toMatchObject({ Container: '', ContainerConfig: now.Config });
    expect((await post('/images/app:1/tag?repo=app&tag=2')).status).toBe(201);
    expect((await post('/images/app:1/tag?repo=APP')).status).toBe(400);
    expect((await get('/images/app:2/history')).json).toMatchObject([{ CreatedBy: 'CMD' }]);
    const listed = (await get('/images/json')).json as { RepoTags: string[] }[];
    expect(listed.some(({ RepoTags }) => RepoTags.includes('app:1'))).toBe(true);
    expect((await ask(cluster.socketPath, 'DELETE', '/images/app:2')).json).toMatchObject([{ Untagged: 'app:2' }, {}]);
  });

  test.each([
    ['a pull', '/images/create?fromImage=foo&tag=1', 200, ['Pulling from foo:1', 'Downloaded newer image']],
    ['a pull that fails at once', '/images/create?fromImage=missing', 404, ['not found']],
    ['a pull that fails later', '/images/create?fromImage=broken', 200, ['errorDetail', 'blob unknown']],
    ['neither pull nor import', '/images/create', 400, ['fromImage']],
    ['an import from a URL', '/images/create?fromSrc=http://x/y', 501, ['fromSrc']],
    ['a push of all tags', '/images/busybox/push', 501, ['tag']],
  ])('%s', async (_name, path, status, parts) => {
    const answer = await post(path);
    expect(answer.status, answer.text).toBe(status);
    for (const part of parts) expect(answer.text).toContain(part);
  });

  test('credentials reach the store', async () => {
    const auth = Buffer.from('{"username":"me"}').toString('base64url');
    const pushed = await post('/images/busybox/push?tag=latest', undefined, { 'x-registry-auth': auth });
    expect(pushed.text).toContain('"aux":{"user":"me"}');
    expect((await post('/images/create?fromImage=a', undefined, { 'x-registry-auth': 'aGFsbG8' })).status).toBe(400);
  });

  test('go in and out as tar', async () => {
    cluster.store.received = 0;
    expect((await post('/images/load', Buffer.alloc(700_000))).text).toContain('Loaded image');
    expect((await post('/images/create?fromSrc=-&repo=imported', Buffer.alloc(10))).text).toContain('sha256:');
    expect(cluster.store.received).toBe(700_010);
    expect((await get('/images/get?names=busybox&names=imported')).text).toMatch(/^sha256:.{64}sha256:.{64}$/);
    expect((await get('/images/get?names=nope')).status).toBe(404);
  });
});

describe('builds', () => {
  test('stream the context in and the steps out', async () => {
    cluster.store.received = 0;
    const built = await post('/build?t=mine:1&buildargs={"A":"1","B":null}', Buffer.alloc(300_000));
    expect(cluster.store.received).toBe(300_000);
    expect(built.text).toContain('{"stream":"Step 1/1 : FROM busybox\\n"}');
    expect(built.text).toMatch(/"aux":\{"ID":"sha256:/);
    expect((await post('/build?q=1', Buffer.alloc(1))).text).toMatch(/^\{"stream":"sha256:[0-9a-f]+\\n"\}\r\n$/);
  });
  test.each([
    ['a failed step', 'target=broken', 200, '"errorDetail":{"code":3,"message":"it failed"}'],
    ['BuildKit', 'version=2', 501, 'DOCKER_BUILDKIT=0'],
    ['a remote context', 'remote=http://x', 501, '"remote"'],
    ['an unknown parameter', 'foo=1', 400, 'unknown parameter'],
    ['squash', 'squash=1', 501, '"squash"'],
    ['a path outside', 'dockerfile=../x', 400, 'within the build context'],
    ['a malformed argument', 'buildargs={', 400, 'buildargs'],
    ['a bad tag', 't=A', 400, 'lowercase'],
  ])('%s', async (_name, query, status, part) => {
    const answer = await post(`/build?${query}`, Buffer.alloc(1));
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(part.replace(/^"(\w+)"$/, part.startsWith('"errorDetail') ? part : '$1'));
  });
});

describe('the cluster', () => {
  test('info, version, networks, volumes, disk usage', async () => {
    expect((await get('/info')).json).toMatchObject({
      NCPU: 2,
      Driver: 'overlay2',
      Swarm: { LocalNodeState: 'inactive' },
      Runtimes: { native: { path: '/shim' }, runc: { path: '/usr/sbin/runc' } },
      DefaultRuntime: 'native',
      DriverStatus: [
        ['Hosts', '1'],
        [' h1', '127.0.0.77'],
        ['  └ ID', 'node-1'],
        ['  └ Status', 'Healthy'],
        expect.anything(),
        expect.anything(),
        expect.anything(),
        ['  └ AppArmor', 'none: its agent names none'],
        ['  └ SELinux', 'none: its agent names none'],
        ['  └ Encryption', 'none: its agent names none'],
        ['  └ Storage limits', 'none: its agent names none'],
      ],
    });
    expect((await get('/version')).json).toMatchObject({ ApiVersion: '1.51', MinAPIVersion: '1.24' });
    expect(((await get('/networks')).json as { Name: string }[]).map(({ Name }) => Name)).toEqual([
      'bridge',
      'host',
      'none',
    ]);
    expect((await get('/networks/bridge')).json).toMatchObject({ Name: 'bridge', Driver: 'bridge' });
    expect((await get('/networks/nope')).status).toBe(404);
    const id = await run({ Cmd: ['sleep'], HostConfig: { Binds: ['data:/d'] } });
    expect((await get('/volumes/data')).json).toMatchObject({ Name: 'data', Driver: 'local' });
    expect((await get('/volumes')).json).toMatchObject({ Volumes: [{ Name: 'data' }] });
    expect((await get('/system/df')).json).toMatchObject({ LayersSize: 100 });
    await ask(cluster.socketPath, 'DELETE', `/containers/${id}?force=1`);
  });

  test('events are filtered and streamed', async () => {
    const event = (action: string, name: string) => ({
      type: 'container',
      action,
      actorId: name.repeat(8),
      attributes: { name, image: 'busybox' },
      timeNs: 1_700_000_000_000_000_001n,
      nodeId: '',
    });
    cluster.events.push(event('create', 'aa'));
    cluster.events.push(event('exec_create: sh', 'bb'));
    cluster.events.push(event('die', 'bb'));
    cluster.events.end();
    const filters = encodeURIComponent('{"container":["bb"],"event":["exec_create","die"]}');
    const lines = (await get(`/events?filters=${filters}`)).text.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        Type: 'container',
        Action: 'exec_create: sh',
        Actor: { Attributes: { name: 'bb' } },
        from: 'busybox',
        time: 1_700_000_000,
      },
      { Action: 'die' },
    ]);
    expect((await get('/events?since=5&until=1')).status).toBe(400);
    expect((await get('/events?since=yesterday')).status).toBe(400);
  });
});
