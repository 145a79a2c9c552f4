import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from './testing/fake-cluster.ts';
import { type Answer, ask } from './testing/http-client.ts';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
});
afterAll(() => cluster.stop());

const get = (path: string) => ask(cluster.socketPath, 'GET', path);
const post = (path: string, body?: object) => ask(cluster.socketPath, 'POST', path, body);
const remove = (path: string) => ask(cluster.socketPath, 'DELETE', path);
const message = (answer: Answer) => (answer.json as { message?: string }).message ?? answer.text;
async function network(Name: string, more: object = {}): Promise<string> {
  const made = await post('/networks/create', { Name, ...more });
  expect(made.status, made.text).toBe(201);
  return (made.json as { Id: string }).Id;
}

async function container(name: string, body: object = {}): Promise<string> {
  const made = await post(`/containers/create?name=${name}`, { Image: 'busybox', Cmd: ['sleep'], ...body });
  expect(made.status, made.text).toBe(201);
  return (made.json as { Id: string }).Id;
}

describe('containers in networks', () => {
  test('inspect, list and network inspect of one that runs; of one that does not the addresses are empty', async () => {
    const [one, two] = [await network('c-one'), await network('c-two')];
    const id = await container('member', {
      HostConfig: { NetworkMode: 'c-one' },
      NetworkingConfig: {
        EndpointsConfig: {
          'c-one': { Aliases: ['web'], IPAMConfig: { IPv4Address: '10.9.0.77' } },
          'c-two': { GwPriority: 3 },
        },
      },
    });
    const end = {
      IPAMConfig: { IPv4Address: '10.9.0.77' },
      Links: null,
      Aliases: ['web'],
      MacAddress: '',
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: one,
      EndpointID: '',
      Gateway: '',
      IPAddress: '',
      IPPrefixLen: 0,
      IPv6Gateway: '',
      GlobalIPv6Address: '',
      GlobalIPv6PrefixLen: 0,
      DNSNames: ['member', 'web', id.slice(0, 12)],
    };
    type Inspected = { NetworkSettings: { Networks: Record<string, unknown>; IPAddress: string }; HostConfig: object };
    const before = (await get(`/containers/${id}/json`)).json as Inspected;
    expect(before.NetworkSettings.Networks).toEqual({
      'c-one': end,
      'c-two': expect.objectContaining({ NetworkID: two, GwPriority: 3, IPAMConfig: null, Aliases: null }),
    });
    expect(before.HostConfig).toMatchObject({ NetworkMode: 'c-one' });
    await post(`/containers/${id}/start`);
    const after = (await get(`/containers/${id}/json`)).json as Inspected;
    const running = {
      ...end,
      EndpointID: expect.stringMatching(/^[0-9a-f]{64}$/),
      MacAddress: '02:42:0a:09:00:02',
      Gateway: '10.9.0.1',
      IPAddress: '10.9.0.77',
      IPPrefixLen: 24,
    };
    expect(after.NetworkSettings).toMatchObject({ IPAddress: '', Gateway: '', Networks: { 'c-one': running } });
    const byNetwork = await get(
      `/containers/json?filters=${encodeURIComponent(JSON.stringify({ network: ['c-two'] }))}`,
    );
    expect(byNetwork.json).toMatchObject([{ Id: id, NetworkSettings: { Networks: { 'c-one': running } } }]);
    const byId = await get(
      `/containers/json?filters=${encodeURIComponent(JSON.stringify({ network: [one.slice(0, 20)] }))}`,
    );
    expect(byId.json).toMatchObject([{ Id: id }]);
    const old = (await get(`/v1.44/containers/${id}/json`)).json as Inspected;
    expect(old.NetworkSettings.Networks).toMatchObject({
      'c-one': { Aliases: ['web', id.slice(0, 12)] },
      'c-two': { Aliases: [id.slice(0, 12)] },
    });
    expect((await get('/networks/c-one')).json).toMatchObject({
      Containers: {
        [id]: { Name: 'member', IPv4Address: '10.9.0.77/24', IPv6Address: '', MacAddress: '02:42:0a:09:00:02' },
      },
      Peers: [{ Name: 'h1', IP: '127.0.0.77' }],
    });
    await remove(`/containers/${id}?force=1`);
  });

  test('a network that does not exist is 400: clients would pull the image at a 404', async () => {
    const answer = await post('/containers/create', { Image: 'busybox', HostConfig: { NetworkMode: 'nowhere' } });
    expect([answer.status, message(answer)]).toEqual([400, 'network nowhere not found']);
  });

  test('connect and disconnect: seen by the very next inspect', async () => {
    const id = await network('joined');
    const member = await container('joiner');
    const networks = async () =>
      Object.keys(
        ((await get(`/containers/${member}/json`)).json as { NetworkSettings: { Networks: object } }).NetworkSettings
          .Networks,
      );
    const EndpointConfig = {
      Aliases: ['db'],
      IPAMConfig: { IPv4Address: '10.9.0.9', LinkLocalIPs: ['169.254.1.1'] },
      DriverOpts: {},
    };
    expect((await post('/networks/joined/connect', { Container: 'joiner', EndpointConfig })).status).toBe(200);
    expect(cluster.scheduler.networks.connected.at(-1)).toMatchObject({
      networkId: id,
      containerId: member,
      endpoint: { aliases: ['db'], ipv4Address: '10.9.0.9', linkLocalIps: ['169.254.1.1'] },
    });
    expect(await networks()).toEqual(['bridge', 'joined']);
    expect((await post(`/networks/${id}/disconnect`, { Container: member, Force: true })).status).toBe(200);
    expect(await networks()).toEqual(['bridge']);
  });

  test('the default bridge: whether a container may join it is for the scheduler to say', async () => {
    const containerId = await container('bridged');
    const { Id: networkId } = (await get('/networks/bridge')).json as { Id: string };
    await post('/networks/bridge/connect', { Container: 'bridged' });
    expect(cluster.scheduler.networks.connected.at(-1)).toMatchObject({ networkId, containerId });
  });

  test.each<[string, string, object, number, string]>([
    ['connect: no such network', '/networks/nope/connect', { Container: 'plain' }, 404, 'network nope not found'],
    ['connect: no such container', '/networks/errors/connect', { Container: 'ghost' }, 404, 'No such container: ghost'],
    ['connect: no container', '/networks/errors/connect', {}, 400, 'Container: names no container'],
    ['connect: an unknown field', '/networks/errors/connect', { Container: 'plain', Colour: 1 }, 400, 'Colour'],
    ['connect: host', '/networks/host/connect', { Container: 'plain' }, 400, 'connected to host network'],
    ['connect: none', '/networks/none/connect', { Container: 'plain' }, 400, 'private (none) mode'],
    [
      'connect: links on the default bridge',
      '/networks/bridge/connect',
      { Container: 'plain', EndpointConfig: { Links: ['other:o'] } },
      501,
      'EndpointConfig.Links is not built yet for the default bridge',
    ],
    ['disconnect: no such network', '/networks/nope/disconnect', { Container: 'plain' }, 404, 'network nope not found'],
  ])('%s', async (_name, path, body, status, part) => {
    if ((await get('/networks/errors')).status === 404) {
      await network('errors');
      await container('plain');
    }
    const answer = await post(path, body);
    expect([answer.status, message(answer)]).toEqual([status, expect.stringContaining(part)]);
  });
});
