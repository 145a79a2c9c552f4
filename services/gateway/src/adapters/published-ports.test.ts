import { type AddressInfo, connect, createServer } from 'node:net';
import { CONTAINER_STATUSES, CONTAINERS, Mirror, NETWORKS, NODE_STATUSES, NODES, VOLUMES } from '@atoll/bus';
import { containerV1, nodeV1 } from '@atoll/proto';
import { afterEach, describe, expect, test } from 'vitest';
import { ClusterState } from './cluster-state.ts';
import { PublishedPorts } from './published-ports.ts';

/** This machine's address where it is a host, and that of another host, which is where the server is. */
const [OWN, OTHER] = ['127.0.0.76', '127.0.0.77'];

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A port that a server on the other host's address has and nobody else. */
async function serverThere(): Promise<number> {
  const server = createServer((socket) => socket.end('there'));
  await new Promise<void>((resolve) => server.listen(0, OTHER, resolve));
  closing.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** A gateway's ports where a container of the other host runs that has these. */
async function following(
  ports: readonly Partial<containerV1.PortBinding>[],
  machineIsHost: boolean,
): Promise<PublishedPorts> {
  const mirrors = {
    containers: new Mirror(CONTAINERS),
    containerStatuses: new Mirror(CONTAINER_STATUSES),
    nodes: new Mirror(NODES),
    volumes: new Mirror(VOLUMES),
    networks: new Mirror(NETWORKS),
    nodeStatuses: new Mirror(NODE_STATUSES),
  };
  const nodes = { own: OWN, other: OTHER };
  for (const [id, hostIp] of Object.entries(nodes)) {
    mirrors.nodes.apply(id, nodeV1.NodeRecord.fromPartial({ id, facts: { hostname: id, hostIp } }), 1n);
  }
  const id = 'a'.repeat(64);
  const spec = { name: 'web', network: { mode: 'bridge' } };
  const bindings = ports.map((port) => ({ containerPort: 80, protocol: 'tcp', ...port }));
  const record = containerV1.ContainerRecord.fromPartial({ id, nodeId: 'other', spec, ports: bindings });
  const running = { id, nodeId: 'other', state: containerV1.ContainerState.RUNNING };
  mirrors.containers.apply(id, record, 1n);
  mirrors.containerStatuses.apply(id, containerV1.ContainerStatus.fromPartial(running), 1n);
  const isOwn = (address: string): boolean => machineIsHost && address === OWN;
  const published = new PublishedPorts(new ClusterState(mirrors), isOwn, () => undefined);
  published.start();
  closing.push(() => published.stop());
  return published;
}

function said(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

const REFUSED = 'ECONNREFUSED';

describe('a port of a container on another host', () => {
  test.each<[string, Partial<containerV1.PortBinding>, boolean, Record<string, string>]>([
    [
      'a host listens on loopback: its kernel forwards the rest',
      {},
      true,
      { '127.0.0.1': 'there', '127.0.0.5': REFUSED },
    ],
    [
      'an address of the machine, host or not',
      { hostOnly: true, gatewayIp: '127.0.0.5' },
      true,
      { '127.0.0.1': REFUSED, '127.0.0.5': 'there' },
    ],
    ['one of mode host is not listened for', { hostOnly: true }, false, { '127.0.0.1': REFUSED }],
    ['one on the address of its host neither', { hostIp: OTHER }, false, { '127.0.0.1': REFUSED }],
    ['sctp neither', { protocol: 'sctp' }, false, { '127.0.0.1': REFUSED }],
  ])('%s', async (_name, port, machineIsHost, want) => {
    const hostPort = await serverThere();
    // The last one is there when the one before it is, or is not to be.
    await following(
      [
        { hostPort, ...port },
        { hostPort, hostOnly: true, gatewayIp: '127.0.0.6' },
      ],
      machineIsHost,
    );
    await expect.poll(() => said('127.0.0.6', hostPort)).toBe('there');
    for (const [address, text] of Object.entries(want)) await expect.poll(() => said(address, hostPort)).toBe(text);
  });

  test('the addresses of hosts are known', async () => {
    const published = await following([], false);
    expect([OWN, OTHER, '127.0.0.1'].map((address) => published.isOfHost(address))).toEqual([true, true, false]);
    expect(published.hostsAreHere()).toBe(false);
  });
});
