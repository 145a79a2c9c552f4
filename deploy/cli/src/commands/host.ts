import type { Command } from 'commander';
import { sendOrder } from '../cluster/control-client.ts';
import { type ClusterFlags, pathsOf, requireRoot, requireRunning, withCluster } from './command-context.ts';

const VERBS = {
  kill: 'power off: every process of the host dies at once',
  revive: 'boot a killed host again, with its files',
  cut: 'pull its network cable',
  heal: 'plug the cable in again',
  'kill-agent': 'kill -9 its agent; containers run on, the agent comes back',
} as const;

/** Failures on demand, for demonstrations and tests; only for the namespace hosts of this machine. */
export function addHost(program: Command): void {
  const host = program.command('host').description('break and mend hosts of this machine, to see what happens');
  for (const [verb, description] of Object.entries(VERBS)) {
    withCluster(host.command(`${verb} <host>`).description(description)).action(
      async (name: string, flags: ClusterFlags) => {
        requireRoot('this');
        const paths = pathsOf(flags);
        await requireRunning(paths);
        await sendOrder(paths, `/hosts/${encodeURIComponent(name)}/${verb}`);
      },
    );
  }
  const service = program.command('service').description('break services of this machine');
  withCluster(service.command('kill <service>').description('kill -9 a service; it is started again')).action(
    async (name: string, flags: ClusterFlags) => {
      requireRoot('this');
      const paths = pathsOf(flags);
      await requireRunning(paths);
      await sendOrder(paths, `/services/${encodeURIComponent(name)}/kill`);
    },
  );
}
