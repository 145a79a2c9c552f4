import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '@atoll/bus';
import { containerV1, identityV1, networkV1, nodeV1, volumeV1 } from '@atoll/proto';
import { Channel, type Client, type TlsIdentity } from '@atoll/rpc';
import { Pipeline } from '@atoll/scheduling';
import { startNats, type TestNats, type TestPki, testPki } from '@atoll/testing';
import { NodeSubnets } from '../domain/node-subnet.ts';
import type { Log } from '../domain/term-parts.ts';
import { Scheduler } from '../scheduler.ts';
import { SimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';

export interface TestClusterOptions {
  readonly agents?: number;
  readonly nodeTimeoutMs?: number;
  readonly cidr?: string;
  readonly networkPool?: string;
  readonly networkLingerMs?: number;
  readonly restoreWaitMs?: number;
  /** One call for each log line, for a failing test. */
  readonly log?: (line: string) => void;
  readonly stateDir?: string;
}

export interface TestReplica {
  readonly id: string;
  readonly address: string;
  readonly scheduler: Scheduler;
  readonly containers: Client<typeof containerV1.ContainerServiceService>;
  readonly volumes: Client<typeof volumeV1.VolumeServiceService>;
  readonly networks: Client<typeof networkV1.NetworkServiceService>;
  readonly nodes: Client<typeof nodeV1.NodeServiceService>;
  readonly identity: Client<typeof identityV1.IdentityServiceService>;
  stop(): Promise<void>;
}

/** A real nats-server, real schedulers over mTLS, and simulated agents. */
export interface TestCluster {
  readonly nats: TestNats;
  readonly pki: TestPki;
  readonly agents: SimulatedAgent[];
  readonly replicas: TestReplica[];
  readonly leader: TestReplica;
  addReplica(id: string): Promise<TestReplica>;
  addAgent(id: string, options?: Partial<SimulatedAgentOptions>): Promise<SimulatedAgent>;
  identity(role: TlsIdentity['role'], id: string): Promise<TlsIdentity>;
  stop(): Promise<void>;
}

const POLL_MS = 10;

export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const nats = await startNats();
  const pki = await testPki();
  const agents: SimulatedAgent[] = [];
  const replicas: TestReplica[] = [];

  const addReplica = async (id: string): Promise<TestReplica> => {
    const log = logTo(options.log, id);
    const bus = await connectBus({ servers: [nats.url], name: id, log });
    const scheduler = new Scheduler({
      bus,
      tls: await pki.identity('scheduler', id),
      listen: '127.0.0.1:0',
      authority: pki.authority,
      ...(options.stateDir !== undefined && { stateDir: options.stateDir }),
      replicas: 1,
      subnets: new NodeSubnets(options.cidr ?? '10.213.0.0/16'),
      networkPool: { cidr: options.networkPool ?? '10.216.0.0/13', prefix: 22 },
      networkLingerMs: options.networkLingerMs ?? 50,
      restoreWaitMs: options.restoreWaitMs ?? 120_000,
      pipeline: new Pipeline(),
      nodeTimeoutMs: options.nodeTimeoutMs ?? 4_000,
      aloneTimeoutMs: options.nodeTimeoutMs ?? 4_000,
      heartbeatMs: 250,
      takeoverGraceMs: 2_000,
      gateways: ['127.0.0.1:7575'],
      schedulers: [],
      registry: '127.0.0.1:5000',
      log,
    });
    const { address } = await scheduler.start();
    const channel = new Channel({ address, tls: await pki.identity('gateway', 'g1'), serverRole: 'scheduler' });
    const operator = new Channel({ address, tls: await pki.identity('operator', 'o1'), serverRole: 'scheduler' });
    const replica: TestReplica = {
      id,
      address,
      scheduler,
      containers: channel.client(containerV1.ContainerServiceService),
      volumes: channel.client(volumeV1.VolumeServiceService),
      networks: channel.client(networkV1.NetworkServiceService),
      nodes: operator.client(nodeV1.NodeServiceService),
      identity: operator.client(identityV1.IdentityServiceService),
      stop: async () => {
        channel.close();
        operator.close();
        const index = replicas.indexOf(replica);
        if (index >= 0) replicas.splice(index, 1);
        await scheduler.stop();
      },
    };
    replicas.push(replica);
    return replica;
  };

  const addAgent = async (id: string, extra: Partial<SimulatedAgentOptions> = {}): Promise<SimulatedAgent> => {
    const agent = new SimulatedAgent({
      tls: await pki.identity('node', id),
      schedulers: replicas.map((replica) => replica.address),
      ...extra,
    }).start();
    agents.push(agent);
    await agent.connected();
    return agent;
  };

  const first = await addReplica('s1');
  while (!first.scheduler.serving) await sleep(POLL_MS);
  for (let i = 1; i <= (options.agents ?? 0); i++) await addAgent(`h${i}`);

  return {
    nats,
    pki,
    agents,
    replicas,
    get leader() {
      const leader = replicas.find((replica) => replica.scheduler.serving);
      if (!leader) throw new Error('no replica leads');
      return leader;
    },
    addReplica,
    addAgent,
    identity: (role, id) => pki.identity(role, id),
    stop: async () => {
      for (const agent of agents) await agent.close();
      for (const replica of [...replicas]) await replica.stop();
      await nats.stop();
    },
  };
}

function logTo(write: ((line: string) => void) | undefined, id: string): Log {
  const line = (level: string) => (fields: object, message: string) =>
    write?.(
      `${id} ${level} ${message} ${JSON.stringify(fields, (_key, value) => (value instanceof Error ? String(value) : value))}`,
    );
  return { debug: () => {}, info: line('info'), warn: line('warn'), error: line('error') };
}
