import { Argument, type Command } from 'commander';
import { sendOrder } from '../cluster/control-client.ts';
import { type ClusterFlags, pathsOf, requireRoot, requireRunning, withCluster } from './command-context.ts';

const HOST_HELP = `
Verbs:
  kill         power off: every process of the host dies at once
  start        boot a killed host again, with its files
  cut          pull its network cable
  heal         plug the cable in again
  kill-agent   kill -9 its agent; containers run on, the agent comes back
`;

/** Failures on demand, for demonstrations and tests; only for the namespace hosts and services of this machine. */
export function addHost(program: Command): void {
  withCluster(program.command('host'))
    .description('break and mend hosts of this machine, to see what happens')
    .addArgument(new Argument('<verb>').choices(['kill', 'start', 'cut', 'heal', 'kill-agent']))
    .argument('<host>')
    .addHelpText('after', HOST_HELP)
    .action((verb: string, host: string, flags: ClusterFlags) => order(flags, 'hosts', host, verb));
}

/** The same for services. */
export function addService(program: Command): void {
  withCluster(program.command('service'))
    .description('kill -9 a service of this machine; it is started again')
    .addArgument(new Argument('<verb>').choices(['kill']))
    .argument('<service>')
    .action((verb: string, service: string, flags: ClusterFlags) => order(flags, 'services', service, verb));
}

async function order(flags: ClusterFlags, kind: string, name: string, verb: string): Promise<void> {
  requireRoot('this');
  const paths = pathsOf(flags);
  await requireRunning(paths);
  await sendOrder(paths, `/${kind}/${encodeURIComponent(name)}/${verb}`);
}
