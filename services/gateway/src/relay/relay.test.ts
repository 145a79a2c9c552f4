import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { containerOfRelay, relayPath } from '@atoll/docker-api';
import { reasonOf } from '@atoll/errors';
import { containerV1, nodeV1 } from '@atoll/proto';
import { connectPeer, type PeerSocket, type Role } from '@atoll/rpc';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeCluster, startFakeCluster } from '../testing/fake-cluster.ts';
import { ask, frames, hijackRequest } from '../testing/http-client.ts';
import { RelayAccess } from './relay-access.ts';

const NODE = 'node-1';
let cluster: FakeCluster;
let folder: string;
beforeAll(async () => {
  cluster = await startFakeCluster();
  cluster.store.add('busybox:latest', { config: { Cmd: ['true'] } });
  folder = await mkdtemp(join(tmpdir(), 'atoll-relay-'));
});
afterAll(async () => {
  await cluster.stop();
  await rm(folder, { recursive: true, force: true });
});

async function container(binds: readonly string[]): Promise<string> {
  const body = { Image: 'busybox', HostConfig: { Binds: binds } };
  const created = await ask(cluster.socketPath, 'POST', '/containers/create', body);
  expect(created.status, created.text).toBe(201);
  return (created.json as { Id: string }).Id;
}

const withSocket = (): Promise<string> => container(['/var/run/docker.sock:/var/run/docker.sock']);

/** As an agent does it: a connection of the container, or what the gateway refuses it with. */
async function bring(id: string, role: Role = 'node', node = NODE): Promise<PeerSocket | [number, string]> {
  const peer = connectPeer(cluster.relay, await cluster.identity(role, node), 'gateway');
  return await new Promise((resolve, reject) => {
    const call = request({
      path: relayPath(id),
      headers: { connection: 'Upgrade', upgrade: 'tcp' },
      createConnection: () => peer.socket,
    });
    call.on('upgrade', () => resolve(peer));
    call.on('response', (response) => {
      response.setEncoding('utf8').on('data', (text: string) => {
        resolve([response.statusCode ?? 0, (JSON.parse(text) as { message: string }).message]);
        peer.reset();
      });
    });
    call.on('error', reject);
    call.end();
  });
}

/** A socket whose connections are brought to the gateway as the container's. */
async function socketOf(
  id: string,
): Promise<{ path: string; peers: PeerSocket[]; [Symbol.asyncDispose](): Promise<void> }> {
  const path = join(folder, randomBytes(6).toString('hex'));
  const peers: PeerSocket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    void bring(id).then((peer) => {
      if (Array.isArray(peer)) throw new Error(peer.join(' '));
      peers.push(peer);
      peer.socket.on('error', () => socket.destroy());
      socket.pipe(peer.socket).pipe(socket);
    });
  }).listen(path);
  await once(server, 'listening');
  return {
    path,
    peers,
    [Symbol.asyncDispose]: async () => {
      for (const peer of peers) peer.reset();
      server.close();
    },
  };
}

describe('a connection that an agent brings', () => {
  test('is one to the Docker API', async () => {
    await using socket = await socketOf(await withSocket());
    expect(await ask(socket.path, 'GET', '/_ping')).toMatchObject({ status: 200, text: 'OK' });
    expect((await ask(socket.path, 'GET', '/containers/nope/json')).status).toBe(404);
    const body = Buffer.alloc(3_000_000, 'x');
    expect((await ask(socket.path, 'POST', '/containers/create', body)).status).toBe(400);
  });

  test("sees the bridge of the container's own host first", async () => {
    const facts = { hostname: 'h1', hostIp: '127.0.0.77', nanoCpus: 2_000_000_000n };
    const nodes = [
      { id: 'a-node', index: 2, containerSubnet: '10.88.1.0/24' },
      { id: NODE, index: 1, containerSubnet: '10.88.2.0/24' },
    ];
    for (const node of nodes) {
      const known = cluster.mirrors.nodes.get(node.id)?.facts ?? facts;
      cluster.mirrors.nodes.apply(node.id, nodeV1.NodeRecord.fromPartial({ ...node, facts: known }), 2n);
    }
    const blocks = async (path: string): Promise<unknown> =>
      ((await ask(path, 'GET', '/networks/bridge')).json as { IPAM: { Config: unknown } }).IPAM.Config;
    const [first, second] = nodes.map(({ containerSubnet }) => ({ Subnet: containerSubnet }));
    await using socket = await socketOf(await withSocket());
    expect(await blocks(socket.path)).toEqual([{ ...second, Gateway: '10.88.2.1' }, first]);
    expect(await blocks(cluster.socketPath)).toEqual(expect.arrayContaining([first, second]));
  });

  test.each([
    ['with Upgrade', true, 'HTTP/1.1 101 UPGRADED'],
    ['without', false, 'HTTP/1.1 200 OK'],
  ])('can be hijacked, %s, and half-closed', async (_name, upgrade, line) => {
    const id = await withSocket();
    await using socket = await socketOf(id);
    const body = { Image: 'busybox', Cmd: ['count'], OpenStdin: true, StdinOnce: true };
    const { Id } = (await ask(socket.path, 'POST', '/containers/create', body)).json as { Id: string };
    const attached = await hijackRequest(socket.path, `/containers/${Id}/attach?stream=1&stdin=1&stdout=1`, {
      upgrade,
    });
    expect(attached.head).toContain(line);
    await ask(socket.path, 'POST', `/containers/${Id}/start`);
    attached.socket.end('y'.repeat(200_000));
    expect(frames(await attached.rest)).toEqual([[1, '200000\n']]);
  });

  test('that is cut ends what it had asked for', async () => {
    const id = await withSocket();
    await using socket = await socketOf(id);
    const { Id } = (await ask(socket.path, 'POST', '/containers/create', { Image: 'busybox', Cmd: ['sleep'] }))
      .json as { Id: string };
    await ask(socket.path, 'POST', `/containers/${Id}/start`);
    const attached = await hijackRequest(socket.path, `/containers/${Id}/attach?stream=1&stdout=1`);
    attached.socket.on('error', () => undefined);
    await expect.poll(() => cluster.agent.attachments).toBe(1);
    for (const peer of socket.peers) peer.reset();
    await expect.poll(() => cluster.agent.attachments).toBe(0);
  });

  test.each<[string, () => Promise<string>, Role, string, number, string]>([
    [
      'of a container without the mount',
      () => container(['data:/data']),
      'node',
      NODE,
      403,
      'has no mount of the Docker socket',
    ],
    ['of a container nobody knows', async () => 'a'.repeat(64), 'node', NODE, 403, 'has no mount of the Docker socket'],
    [
      'of a container of another host',
      withSocket,
      'node',
      'node-2',
      403,
      'has no mount of the Docker socket on node node-2',
    ],
    ['by another part of the cluster', withSocket, 'image-builder', NODE, 403, 'only agents'],
    ['for no container', async () => 'x', 'node', NODE, 404, 'page not found'],
  ])('is refused %s', async (_name, id, role, node, status, message) => {
    const answer = await bring(await id(), role, node);
    expect(answer).toEqual([status, expect.stringContaining(message)]);
  });

  test('is refused without a certificate of the cluster', async () => {
    const other = await startFakeCluster();
    try {
      const peer = connectPeer(cluster.relay, await other.identity('node', NODE), 'gateway');
      const [error] = await once(peer.socket, 'error');
      expect(String(error)).toMatch(/certificate|self.signed/i);
    } finally {
      await other.stop();
    }
  });
});

describe('whether a host may bring a connection', () => {
  const id = 'b'.repeat(64);
  const view = (nodeId: string) => {
    const spec = containerV1.ContainerSpec.fromPartial({ mounts: [{ type: 'bind', apiSocket: true }] });
    const record = containerV1.ContainerRecord.fromPartial({ id, nodeId, spec });
    return { record, spec, status: undefined, node: undefined };
  };
  const policy = { sources: new Set<string>() };

  test('waits a moment for a container that another gateway has made', async () => {
    let known: ReturnType<typeof view> | undefined;
    const listeners = new Set<(changed: string) => void>();
    const containers = {
      get: () => known,
      onContainerChange: (listener: (changed: string) => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    const access = new RelayAccess(containers, policy, 5_000);
    const admitted = access.admit(id, NODE);
    for (const nodeId of ['node-2', NODE]) {
      known = view(nodeId);
      for (const listener of listeners) listener(id);
    }
    await admitted;
    expect(listeners.size).toBe(0);
    known = undefined;
    const refused = await new RelayAccess(containers, policy, 10).admit(id, NODE).catch((error: unknown) => error);
    expect(reasonOf(refused)).toBe('permission-denied');
    expect(listeners.size).toBe(0);
  });

  test('not where such mounts are refused, also of containers made before', async () => {
    const containers = { get: () => view(NODE), onContainerChange: () => () => undefined };
    await new RelayAccess(containers, policy).admit(id, NODE);
    const refusing = new RelayAccess(containers, { ...policy, refusal: 'not here' });
    await expect(refusing.admit(id, NODE)).rejects.toThrow('not here');
  });
});

test.each([
  ['/relay/', undefined],
  [`/relay/${'0'.repeat(63)}`, undefined],
  [`/relay/${'0'.repeat(64)}/x`, undefined],
  [`/relay/${'0'.repeat(64)}?x`, undefined],
  [relayPath('0'.repeat(64)), '0'.repeat(64)],
])('the path %s', (path, id) => {
  expect(containerOfRelay(path)).toBe(id);
});
