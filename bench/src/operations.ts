import { runContainer } from './container-cycle.ts';
import { cliOf } from './docker-cli.ts';
import { DockerClient } from './docker-client.ts';
import type { Engine } from './engine.ts';

/** What is compared. `prepare` runs once a side and answers the operation to be timed, and how to clear up. */
export interface Operation {
  readonly name: string;
  /** Highest ratio of Atoll's time (and CPU) to dockerd's that the project set itself. */
  readonly goal: { readonly time: number; readonly cpu?: number };
  prepare(engine: Engine): Promise<{ once: () => Promise<void>; end: () => Promise<void> }>;
}

async function apiExec(client: DockerClient, id: string): Promise<void> {
  const body = { Cmd: ['true'], AttachStdout: true, AttachStderr: true };
  const { Id } = JSON.parse(await client.call('POST', `/containers/${id}/exec`, body)) as { Id: string };
  await client.call('POST', `/exec/${Id}/start`, { Detach: false, Tty: false });
}

const apiOperation = (name: string, networkMode: string, goal: Operation['goal']): Operation => ({
  name,
  goal,
  prepare: async (engine) => {
    const client = new DockerClient(engine.dockerHost);
    return { once: () => runContainer(client, networkMode), end: async () => client.close() };
  },
});

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'docker run --rm busybox true (CLI, bridge)',
    goal: { time: 0.2 },
    prepare: async (engine) => ({
      once: async () => void cliOf(engine)('run', '--rm', 'busybox', 'true'),
      end: async () => undefined,
    }),
  },
  apiOperation('create+start+wait+remove (API, bridge)', 'bridge', { time: 0.08, cpu: 0.12 }),
  apiOperation('create+start+wait+remove (API, none)', 'none', { time: 0.08, cpu: 0.12 }),
  {
    name: 'create+start+wait+remove (API, network of a user, one port)',
    goal: { time: 0.25 },
    prepare: async (engine) => {
      const client = new DockerClient(engine.dockerHost);
      await client.call('POST', '/networks/create', { Name: 'bench-start' });
      const PortBindings = { '80/tcp': [{ HostPort: '' }] };
      return {
        once: () => runContainer(client, 'bench-start', { PortBindings }),
        end: async () => {
          await client.call('DELETE', '/networks/bench-start');
          client.close();
        },
      };
    },
  },
  {
    name: 'docker exec true (CLI)',
    goal: { time: 0.5 },
    prepare: async (engine) => {
      const id = cliOf(engine)('run', '-d', 'busybox', 'sleep', '3600');
      return {
        once: async () => void cliOf(engine)('exec', id, 'true'),
        end: async () => void cliOf(engine)('rm', '-f', id),
      };
    },
  },
  {
    name: 'exec true: create, start, end of output (API)',
    goal: { time: 0.2 },
    prepare: async (engine) => {
      const id = cliOf(engine)('run', '-d', 'busybox', 'sleep', '3600');
      const client = new DockerClient(engine.dockerHost);
      return {
        once: () => apiExec(client, id),
        end: async () => {
          client.close();
          cliOf(engine)('rm', '-f', id);
        },
      };
    },
  },
];
