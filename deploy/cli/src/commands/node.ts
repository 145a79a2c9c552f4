import { invalidArgument, notFound } from '@atoll/errors';
import { nodeV1 } from '@atoll/proto';
import { Channel, type Client, loadTlsIdentity } from '@atoll/rpc';
import type { Command } from 'commander';
import { drainVolumes } from '../volumes/drain-volumes.ts';
import { type ClusterFlags, pathsOf, requireRunning, withCluster } from './command-context.ts';
import { table } from './table.ts';
import { work } from './volume.ts';

type Nodes = Client<typeof nodeV1.NodeServiceService>;

const AVAILABILITY = new Map<number, string>([
  [nodeV1.NodeAvailability.ACTIVE, 'active'],
  [nodeV1.NodeAvailability.PAUSE, 'pause'],
  [nodeV1.NodeAvailability.DRAIN, 'drain'],
]);

export function addNode(program: Command): void {
  const node = program.command('node').description('the hosts of the cluster, of all machines');
  withCluster(node.command('ls').description('list them').option('-q, --quiet', 'only their ids')).action(
    (flags: ClusterFlags & { readonly quiet?: boolean }) =>
      withNodes(flags, (nodes) => list(nodes, flags.quiet ?? false)),
  );
  for (const [verb, availability, description] of [
    ['drain', nodeV1.NodeAvailability.DRAIN, 'place nothing new there and move what can be moved'],
    ['pause', nodeV1.NodeAvailability.PAUSE, 'place nothing new there'],
    ['activate', nodeV1.NodeAvailability.ACTIVE, 'place containers there again'],
  ] as const) {
    const command = withCluster(node.command(`${verb} <node>`).description(description));
    if (verb === 'drain') {
      command
        .option('--volumes', 'move its volumes to other hosts too')
        .option('--recreate', 'with --volumes: make the containers that use them anew there')
        .action(drain);
      continue;
    }
    command.action((name: string, flags: ClusterFlags) =>
      withNodes(flags, async (nodes) => {
        await nodes.updateNode({ id: (await nodeOf(nodes, name)).id, availability });
        process.stdout.write(`${name}\n`);
      }),
    );
  }
  withCluster(
    node.command('rm <node>').description('forget a node that is down').option('-f, --force', 'also its containers'),
  ).action((name: string, flags: ClusterFlags & { readonly force?: boolean }) =>
    withNodes(flags, async (nodes) => {
      await nodes.removeNode({ id: (await nodeOf(nodes, name)).id, force: flags.force ?? false });
      process.stdout.write(`${name}\n`);
    }),
  );
}

async function drain(
  name: string,
  flags: ClusterFlags & { readonly volumes?: boolean; readonly recreate?: boolean },
): Promise<void> {
  if (flags.recreate && !flags.volumes) throw invalidArgument('--recreate goes with --volumes only');
  let hostname = name;
  await withNodes(flags, async (nodes) => {
    const { id, facts } = await nodeOf(nodes, name);
    hostname = facts?.hostname ?? id;
    await nodes.updateNode({ id, availability: nodeV1.NodeAvailability.DRAIN });
    process.stdout.write(`${name}\n`);
  });
  if (flags.volumes) await work(flags, (job) => drainVolumes(job, hostname, flags.recreate ?? false));
}

async function withNodes(flags: ClusterFlags, use: (nodes: Nodes) => Promise<void>): Promise<void> {
  const paths = pathsOf(flags);
  const state = await requireRunning(paths);
  const tls = await loadTlsIdentity(paths.tlsDir('operator'));
  const channel = new Channel({ address: state.endpoints['scheduler'] ?? '', tls, serverRole: 'scheduler' });
  try {
    await use(channel.client(nodeV1.NodeServiceService));
  } finally {
    channel.close();
  }
}

async function list(nodes: Nodes, quiet: boolean): Promise<void> {
  const answer = await nodes.listNodes({});
  if (quiet) {
    process.stdout.write(answer.nodes.map((node) => `${node.id}\n`).join(''));
    return;
  }
  const rows = answer.nodes.map((node) => {
    const status = answer.statuses.find((candidate) => candidate.id === node.id);
    const ready = status?.readiness === nodeV1.NodeReadiness.READY;
    return [
      node.id.slice(0, 12),
      node.facts?.hostname ?? '',
      ready ? 'ready' : `down${status?.message ? ` (${status.message})` : ''}`,
      AVAILABILITY.get(node.availability) ?? 'active',
      String(status?.containers ?? 0),
      node.facts?.hostIp ?? '',
      node.facts?.wireguard ? 'wireguard' : `none${node.facts?.noEncryption ? ` (${node.facts.noEncryption})` : ''}`,
      node.facts?.storageLimits || 'none',
    ];
  });
  process.stdout.write(
    table(['ID', 'HOSTNAME', 'STATUS', 'AVAILABILITY', 'CONTAINERS', 'ADDRESS', 'ENCRYPTION', 'STORAGE LIMITS'], rows),
  );
}

/** By hostname, id or a beginning of the id that fits one node only. */
async function nodeOf(nodes: Nodes, name: string): Promise<nodeV1.NodeRecord> {
  const all = (await nodes.listNodes({})).nodes;
  const found = all.filter((node) => node.facts?.hostname === name || node.id === name);
  const fitting = found.length > 0 ? found : all.filter((node) => node.id.startsWith(name));
  const [only, ...others] = fitting;
  if (!only) throw notFound(`no node ${name}: ./atoll node ls lists them`);
  if (others.length > 0) throw notFound(`${fitting.length} nodes are called ${name}: use an id of ./atoll node ls`);
  return only;
}
