import { execFileSync } from 'node:child_process';
import { DockerClient } from './docker-client.ts';
import type { Engine } from './engine.ts';

/** What is compared. `prepare` runs once a side and answers the operation to be timed, and how to clear up. */
export interface Operation {
  readonly name: string;
  /** Highest ratio of Atoll's time (and CPU) to dockerd's that the project set itself. */
  readonly goal: { readonly time: number; readonly cpu?: number };
  prepare(engine: Engine): Promise<{ once: () => Promise<void>; end: () => Promise<void> }>;
}

const cli = (engine: Engine, ...args: string[]): string =>
  execFileSync('docker', args, {
    env: { ...process.env, DOCKER_HOST: engine.dockerHost },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();

async function apiCycle(client: DockerClient, networkMode: string): Promise<void> {
  const created = await client.call('POST', '/containers/create', {
    Image: 'busybox',
    Cmd: ['true'],
    HostConfig: { NetworkMode: networkMode },
  });
  const { Id } = JSON.parse(created) as { Id: string };
  const exited = client.call('POST', `/containers/${Id}/wait?condition=next-exit`);
  await client.call('POST', `/containers/${Id}/start`);
  await exited;
  await client.call('DELETE', `/containers/${Id}`);
}

const apiOperation = (name: string, networkMode: string, goal: Operation['goal']): Operation => ({
  name,
  goal,
  prepare: async (engine) => {
    const client = new DockerClient(engine.dockerHost);
    return { once: () => apiCycle(client, networkMode), end: async () => client.close() };
  },
});

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'docker run --rm busybox true (CLI, bridge)',
    goal: { time: 0.3 },
    prepare: async (engine) => ({
      once: async () => void cli(engine, 'run', '--rm', 'busybox', 'true'),
      end: async () => undefined,
    }),
  },
  apiOperation('create+start+wait+remove (API, bridge)', 'bridge', { time: 0.15, cpu: 0.25 }),
  apiOperation('create+start+wait+remove (API, none)', 'none', { time: 0.15, cpu: 0.25 }),
  {
    name: 'docker exec true (CLI)',
    goal: { time: 0.6 },
    prepare: async (engine) => {
      const id = cli(engine, 'run', '-d', 'busybox', 'sleep', '3600');
      return {
        once: async () => void cli(engine, 'exec', id, 'true'),
        end: async () => void cli(engine, 'rm', '-f', id),
      };
    },
  },
];
