import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { natsServer } from '../cluster/checkout.ts';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { machineProcess } from './machine-service.ts';
import { natsConfig } from './nats-config.ts';
import { ensureDurable, type NatsDurability } from './nats-durability.ts';
import type { ServicePlanner } from './service-plan.ts';
import type { ServiceDefinition } from './supervised-service.ts';

export interface NatsService {
  readonly definition: ServiceDefinition;
  readonly durability: NatsDurability;
}

/** The cluster's own nats-server. `password` is made anew for each start. */
export async function natsService(
  paths: ClusterPaths,
  planner: ServicePlanner,
  password: string,
): Promise<NatsService> {
  const server = natsServer();
  await mkdir(paths.natsStore, { recursive: true, mode: 0o700 });
  const durable = await ensureDurable(server, paths.natsStore);
  const configFile = join(paths.runDir, 'nats.conf');
  const config = natsConfig({
    listen: planner.natsListen,
    name: `atoll-${paths.name}`,
    store: paths.natsStore,
    user: 'atoll',
    password,
    durability: durable.mode,
  });
  await writeFile(configFile, config, { mode: 0o600 });
  await writeFile(planner.credentialsFile, JSON.stringify({ user: 'atoll', password }), { mode: 0o600 });
  const plan = {
    name: 'nats-server',
    argv: [server, '-c', configFile],
    env: {},
    readyFile: join(paths.readyDir, 'nats-server'),
  };
  return {
    definition: { ...(await machineProcess(paths, plan)), isReady: () => answers(planner.natsListen) },
    durability: durable,
  };
}

/** The server greets each connection with an INFO line once it has recovered its streams. */
async function answers(listen: string): Promise<boolean> {
  const [host = '127.0.0.1', port = '0'] = listen.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: 1000 });
    const end = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', end(true)).once('error', end(false)).once('timeout', end(false)).once('close', end(false));
  });
}
