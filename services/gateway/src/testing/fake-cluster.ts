import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CONTAINER_STATUSES, CONTAINERS, Mirror, NETWORKS, NODE_STATUSES, NODES, VOLUMES } from '@atoll/bus';
import { createLogger } from '@atoll/logging';
import { buildV1, containerV1, type eventV1, imageV1, networkV1, nodeV1, runtimeV1 } from '@atoll/proto';
import { type AllowTable, AsyncQueue, ChannelPool, GrpcHost, type Role, type TlsIdentity } from '@atoll/rpc';
import { testPki } from '@atoll/testing';
import type { ClusterMirrors } from '../adapters/cluster-state.ts';
import { Gateway } from '../gateway.ts';
import { socketMountPolicy } from '../resources/container/socket-mounts.ts';
import { FakeAgent } from './fake-agent.ts';
import { FakeScheduler } from './fake-scheduler.ts';
import { FakeStore } from './fake-store.ts';

const NODE_ID = 'node-1';

/** A gateway on a real socket, before pretended parts that speak real gRPC over mTLS. */
export interface FakeCluster {
  readonly socketPath: string;
  readonly agent: FakeAgent;
  readonly scheduler: FakeScheduler;
  readonly store: FakeStore;
  readonly events: AsyncQueue<eventV1.Event>;
  /** What the gateway has published. */
  readonly told: readonly eventV1.Event[];
  readonly mirrors: ReturnType<typeof makeMirrors>;
  /** Where agents bring connections of containers, and an identity of the cluster's CA. */
  readonly relay: string;
  identity(role: Role, id: string): Promise<TlsIdentity>;
  stop(): Promise<void>;
}

export async function startFakeCluster(): Promise<FakeCluster> {
  const pki = await testPki();
  const directory = await mkdtemp(join(tmpdir(), 'atoll-gateway-'));
  const agent = new FakeAgent(NODE_ID);
  const scheduler = new FakeScheduler(NODE_ID, agent);
  const store = new FakeStore();
  const hosts = [
    new GrpcHost({ listen: '127.0.0.1:0', tls: await pki.identity('node', NODE_ID) }).add(
      runtimeV1.RuntimeServiceService,
      forGateway(runtimeV1.RuntimeServiceService),
      agent.handlers,
    ),
    new GrpcHost({ listen: '127.0.0.1:0', tls: await pki.identity('scheduler', 's1') })
      .add(containerV1.ContainerServiceService, forGateway(containerV1.ContainerServiceService), scheduler.handlers)
      .add(networkV1.NetworkServiceService, forGateway(networkV1.NetworkServiceService), scheduler.networks.handlers),
    new GrpcHost({ listen: '127.0.0.1:0', tls: await pki.identity('registry', 'r1') }).add(
      imageV1.ImageServiceService,
      forGateway(imageV1.ImageServiceService),
      store.handlers,
    ),
    new GrpcHost({ listen: '127.0.0.1:0', tls: await pki.identity('image-builder', 'b1') }).add(
      buildV1.BuildServiceService,
      forGateway(buildV1.BuildServiceService),
      store.builder,
    ),
  ] as const;
  const [agentAt, schedulerAt, registryAt, builderAt] = await Promise.all(hosts.map((host) => host.start()));
  const mirrors = makeMirrors();
  const runtimes = [
    { name: 'native', path: '/shim' },
    { name: 'runc', path: '/usr/sbin/runc' },
  ];
  const address = agentAt?.address ?? '';
  const facts = { hostname: 'h1', address, hostIp: '127.0.0.77', nanoCpus: 2_000_000_000n, runtimes };
  scheduler.onReplaced = (record) => setTimeout(() => mirrors.containers.apply(record.id, record, record.revision), 20);
  mirrors.nodes.apply(NODE_ID, nodeV1.NodeRecord.fromPartial({ id: NODE_ID, index: 1, facts }), 1n);
  const ready = { id: NODE_ID, readiness: nodeV1.NodeReadiness.READY };
  mirrors.nodeStatuses.apply(NODE_ID, nodeV1.NodeStatus.fromPartial(ready), 1n);
  const events = new AsyncQueue<eventV1.Event>(100);
  const told: eventV1.Event[] = [];
  const identity = await pki.identity('gateway', 'g1');
  const channels = new ChannelPool(identity);
  const socketPath = join(directory, 'docker.sock');
  const gateway = new Gateway({
    listen: { socketPath },
    mirrors,
    events: { subscribe: () => events, publish: (event) => told.push(event) > 0 },
    channels,
    schedulers: [schedulerAt?.address ?? ''],
    registry: registryAt?.address ?? '',
    builder: builderAt?.address ?? '',
    ca: identity.ca,
    socketMounts: socketMountPolicy(socketPath, undefined),
    relay: { host: '127.0.0.1', port: 0, tls: identity },
    logger: createLogger({ service: 'gateway', level: 'silent' }),
  });
  await gateway.start();
  return {
    socketPath,
    agent,
    scheduler,
    store,
    events,
    told,
    mirrors,
    relay: `127.0.0.1:${gateway.relayPort}`,
    identity: (role, id) => pki.identity(role, id),
    stop: async () => {
      await gateway.stop();
      channels.close();
      await Promise.all(hosts.map((host) => host.stop(100)));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function makeMirrors(): ClusterMirrors {
  return {
    containers: new Mirror(CONTAINERS),
    containerStatuses: new Mirror(CONTAINER_STATUSES),
    nodes: new Mirror(NODES),
    volumes: new Mirror(VOLUMES),
    networks: new Mirror(NETWORKS),
    nodeStatuses: new Mirror(NODE_STATUSES),
  };
}

function forGateway<D extends object>(definition: D): AllowTable<D> {
  return Object.fromEntries(Object.keys(definition).map((method) => [method, ['gateway']])) as unknown as AllowTable<D>;
}
