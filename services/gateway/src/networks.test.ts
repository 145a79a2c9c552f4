import { networkIdOf } from '@atoll/docker-api';
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
const filtered = async (filters: object) =>
  ((await get(`/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`)).json as { Name: string }[]).map(
    ({ Name }) => Name,
  );

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

describe('networks', () => {
  test('create passes everything on, and shows it at once', async () => {
    const body = {
      CheckDuplicate: true,
      Driver: 'overlay',
      Scope: 'swarm',
      Internal: true,
      Attachable: true,
      EnableIPv6: true,
      IPAM: {
        Driver: 'default',
        Config: [
          { Subnet: '10.1.0.0/16', IPRange: '10.1.5.0/24', Gateway: '10.1.0.1', AuxiliaryAddresses: { r: '10.1.0.9' } },
          {},
        ],
        Options: { 'com.docker.network.ipam.serial': 'true' },
      },
      Options: { 'com.docker.network.driver.mtu': '1400' },
      Labels: { tier: 'web' },
    };
    const id = await network('full', body);
    expect(cluster.scheduler.networks.created.at(-1)).toMatchObject({
      id,
      name: 'full',
      ipv4: true,
      ipv6: true,
      subnets: [{ cidr: '10.1.0.0/16', ipRange: '10.1.5.0/24', gateway: '10.1.0.1', auxAddresses: { r: '10.1.0.9' } }],
    });
    expect((await get('/networks/full')).json).toEqual({
      Name: 'full',
      Id: id,
      Created: expect.stringMatching(/^20\d\d-.*Z$/),
      Scope: 'swarm',
      Driver: 'overlay',
      EnableIPv4: true,
      EnableIPv6: true,
      IPAM: { Driver: 'default', Options: body.IPAM.Options, Config: [body.IPAM.Config[0]] },
      Internal: true,
      Attachable: true,
      Ingress: false,
      ConfigFrom: { Network: '' },
      ConfigOnly: false,
      Containers: {},
      Options: body.Options,
      Labels: body.Labels,
      Peers: [],
    });
  });

  test.each<[string, object, number, string]>([
    ['a body that is none', { Name: 7 }, 400, 'Name'],
    ['an unknown field', { Name: 'x', Colour: 'red' }, 400, 'Colour'],
    ['ingress', { Name: 'x', Ingress: true }, 501, 'Ingress'],
    ['a configuration that is none', { Name: 'x', ConfigOnly: 'yes' }, 400, 'ConfigOnly'],
    ['an unknown field of a configuration', { Name: 'x', ConfigFrom: { Id: 'y' } }, 400, 'Id'],
    ['an unknown field of a subnet', { Name: 'x', IPAM: { Config: [{ Net: '10.0.0.0/8' }] } }, 400, 'Net'],
  ])('create refuses %s', async (_name, body, status, part) => {
    const answer = await post('/networks/create', body);
    expect([answer.status, message(answer)]).toEqual([status, expect.stringContaining(part)]);
  });

  test('a configuration and a network made from it are shown as what they are', async () => {
    await network('plain-config', { ConfigOnly: true });
    await network('made-from-it', { ConfigFrom: { Network: 'plain-config' } });
    expect(cluster.scheduler.networks.created.at(-1)).toMatchObject({ configOnly: false, configFrom: 'plain-config' });
    expect((await get('/networks/plain-config')).json).toMatchObject({ ConfigOnly: true, ConfigFrom: { Network: '' } });
    const made = { ConfigOnly: false, ConfigFrom: { Network: 'plain-config' } };
    expect((await get('/networks/made-from-it')).json).toMatchObject(made);
  });

  test('a name twice is 409', async () => {
    await network('once');
    const answer = await post('/networks/create', { Name: 'once' });
    expect([answer.status, message(answer)]).toEqual([409, 'network with name once already exists']);
  });

  test('found by name, id and beginning of the id', async () => {
    const id = await network('findme');
    for (const reference of ['findme', id, id.slice(0, 12)]) {
      expect((await get(`/networks/${reference}`)).json).toMatchObject({ Id: id });
    }
    expect((await get('/networks/findme?scope=local&verbose=1')).status).toBe(200);
    expect((await get('/networks/findme?scope=swarm')).status).toBe(404);
    const answer = await get('/networks/nope');
    expect([answer.status, message(answer)]).toEqual([404, 'network nope not found']);
    expect(message(await get(`/networks/${sharedPrefix()}`))).toContain('matches found based on ID prefix');
  });

  /** Two ids that begin with the same digit exist among seventeen. */
  function sharedPrefix(): string {
    const known = new Set<string>();
    for (let number = 0; ; number++) {
      const id = networkIdOf(`filler-${number}`);
      const [first = ''] = id;
      const record = { id, name: `filler-${number}`, driver: 'filler' };
      cluster.mirrors.networks.apply(id, { ...cluster.scheduler.networks.created[0], ...record } as never, 1n);
      if (known.has(first)) return first;
      known.add(first);
    }
  }

  test('filters', async () => {
    const id = await network('f-one', { Labels: { tier: 'web', zone: '' } });
    await network('f-two', { Driver: 'overlay' });
    expect(await filtered({ name: ['f-'] })).toEqual(['f-one', 'f-two']);
    expect(await filtered({ name: ['^f-one$'] })).toEqual(['f-one']);
    expect(await filtered({ id: [id.slice(8, 40)] })).toEqual(['f-one']);
    expect(await filtered({ label: ['tier=web', 'zone'] })).toEqual(['f-one']);
    expect(await filtered({ name: ['f-'], driver: ['overlay'] })).toEqual(['f-two']);
    expect(await filtered({ name: ['f-'], scope: ['swarm'] })).toEqual(['f-two']);
    expect(await filtered({ type: ['builtin'] })).toEqual(['bridge', 'host', 'none']);
    expect(await filtered({ type: ['custom'], name: ['f-', 'bridge'] })).toEqual(['f-one', 'f-two']);
    expect(await filtered({ dangling: ['true'], name: ['f-', 'host'] })).toEqual(['f-one', 'f-two']);
    expect(await filtered({ dangling: ['false'], name: ['f-', 'host'] })).toEqual(['host']);
    for (const filters of [{ colour: ['red'] }, { type: ['x'] }, { dangling: ['x'] }, { name: ['('] }]) {
      const answer = await get(`/networks?filters=${encodeURIComponent(JSON.stringify(filters))}`);
      expect([answer.status, message(answer)]).toEqual([400, expect.stringContaining('invalid filter')]);
    }
  });

  test('remove: by name; never a built-in one; not while a container runs in it', async () => {
    await network('going');
    const id = await container('in-going', { HostConfig: { NetworkMode: 'going' } });
    await post(`/containers/${id}/start`);
    const busy = await remove('/networks/going');
    expect([busy.status, message(busy)]).toEqual([403, expect.stringContaining('has active endpoints')]);
    await remove(`/containers/${id}?force=1`);
    expect((await remove('/networks/going')).status).toBe(204);
    expect((await remove('/networks/going')).status).toBe(404);
    const builtIn = await remove('/networks/bridge');
    expect([builtIn.status, message(builtIn)]).toEqual([403, 'bridge is a pre-defined network and cannot be removed']);
  });

  test('prune: what no running container uses, by label and age; tells of it', async () => {
    await network('p-used', { Labels: { p: '' } });
    await network('p-stopped', { Labels: { p: '' } });
    await network('p-kept', { Labels: { p: '', keep: '' } });
    const id = await container('in-used', { HostConfig: { NetworkMode: 'p-used' } });
    await container('in-stopped', { HostConfig: { NetworkMode: 'p-stopped' } });
    await post(`/containers/${id}/start`);
    const prune = async (filters: object) =>
      (await post(`/networks/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`)).json;
    expect(await prune({ label: ['p'], until: ['1h'] })).toEqual({ NetworksDeleted: null });
    expect(await prune({ label: ['p'], 'label!': ['keep'] })).toEqual({ NetworksDeleted: ['p-stopped'] });
    expect(cluster.told.at(-1)).toMatchObject({ type: 'network', action: 'prune' });
    expect(await filtered({ label: ['p'] })).toEqual(['p-used', 'p-kept']);
    expect(await filtered({ label: ['p'], dangling: ['0'] })).toEqual(['p-used']);
    await remove(`/containers/${id}?force=1`);
  });
});
