import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { failedPrecondition, invalidArgument } from '@atoll/errors';
import type { Command } from 'commander';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { SocketMounts } from '../cluster/cluster-settings.ts';
import { type ClusterState, readLiveState } from '../cluster/cluster-state.ts';
import { parseTcpEndpoint } from '../cluster/tcp-endpoint.ts';
import { dockerTlsDirs } from '../identity/docker-certificates.ts';
import { requestJoinToken } from '../identity/join-token.ts';
import {
  type ClusterFlags,
  collectPairs,
  collectRuntimes,
  pathsOf,
  RUNTIME_HELP,
  requireRoot,
  socketMountsOption,
  withCluster,
} from './command-context.ts';
import { startOrEnd, stayUntilInterrupted } from './up.ts';

/** The port docker uses for TLS. */
const DOCKER_TLS_PORT = 2376;

interface InitFlags extends ClusterFlags {
  readonly advertise?: string;
  readonly tcp?: string;
  readonly detach?: boolean;
  readonly registryMirror?: Record<string, string>;
  readonly runtime?: Record<string, string>;
  readonly socketMounts?: SocketMounts;
}

export function addInit(program: Command): void {
  withCluster(program.command('init'))
    .description('start the control plane of a cluster that other machines join, with one host on this machine')
    .option('--advertise <address>', 'IPv4 address other machines reach this one at')
    .option(
      '--tcp <host:port>',
      'serve the Docker API there, with TLS and client certificates (default: port 2376 of the advertised address)',
    )
    .option('--registry-mirror <registry=url>', 'pull images of a registry name from there; repeatable', collectPairs)
    .option('--runtime <name=path>', RUNTIME_HELP, collectRuntimes)
    .option('-d, --detach', 'return when it is ready instead of staying until Ctrl-C')
    .addOption(socketMountsOption())
    .action(async (flags: InitFlags) => {
      requireRoot('starting a cluster');
      const paths = pathsOf(flags);
      if (await readLiveState(paths)) {
        throw failedPrecondition(`cluster ${paths.name} runs already: ./atoll token shows how machines join it`);
      }
      const advertise = flags.advertise ?? onlyAddress();
      if (!isIPv4(advertise)) throw invalidArgument(`--advertise ${advertise} is not an IPv4 address`);
      const state = await startOrEnd(paths, {
        advertise,
        tcp: flags.tcp ?? `${advertise}:${DOCKER_TLS_PORT}`,
        ...(flags.registryMirror !== undefined && { registryMirrors: flags.registryMirror }),
        ...(flags.runtime !== undefined && { runtimes: flags.runtime }),
        ...(flags.socketMounts !== undefined && { socketMounts: flags.socketMounts }),
      });
      const scheduler = state.endpoints['scheduler'] ?? '';
      const token = await requestJoinToken({ scheduler, tlsDir: paths.tlsDir('operator'), ttlSeconds: 0 });
      process.stderr.write('\nOn each machine that is to join:\n\n');
      process.stdout.write(`./atoll join --token ${token} --scheduler ${scheduler}\n`);
      process.stderr.write('\nFor docker clients (copy the three files to other machines):\n\n');
      process.stdout.write(`${contextLine(paths, state)}\n`);
      if (!flags.detach) await stayUntilInterrupted(paths, state);
    });
}

/** Loopback endpoints and the socket need no certificates. */
function contextLine(paths: ClusterPaths, state: ClusterState): string {
  const tcp = state.endpoints['tcp'];
  if (tcp === undefined || parseTcpEndpoint(tcp).loopback) {
    return `docker context create atoll --docker host=${tcp ?? state.endpoints['docker']}`;
  }
  const { client } = dockerTlsDirs(paths);
  const files = ['ca', 'cert', 'key'].map((name) => `${name}=${client}/${name}.pem`);
  return `docker context create atoll --docker "${[`host=${tcp}`, ...files].join(',')}"`;
}

/** Errors: invalid-argument when the machine has several addresses, naming them. */
function onlyAddress(): string {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => !name.startsWith('atoll'))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter((address) => address.family === 'IPv4' && !address.internal)
    .map((address) => address.address);
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  throw invalidArgument(`give --advertise: this machine has ${found.length === 0 ? 'no address' : found.join(', ')}`);
}
