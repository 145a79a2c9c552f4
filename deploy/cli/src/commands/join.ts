import { access, rm } from 'node:fs/promises';
import { createConnection, isIPv4 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { invalidArgument, unavailable } from '@atoll/errors';
import type { Command } from 'commander';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { SELinuxUse } from '../cluster/cluster-settings.ts';
import { joinCluster } from '../identity/join-cluster.ts';
import { renewCertificate } from '../identity/renew-certificate.ts';
import { memberAgent, memberTlsDir } from '../member/member-agent.ts';
import { loadMember, type MemberSettings, saveMember } from '../member/member-settings.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { StepList } from '../progress/step-list.ts';
import {
  type ClusterFlags,
  collectPairs,
  collectRuntimes,
  pathsOf,
  RUNTIME_HELP,
  requireRoot,
  selinuxOption,
  USERNS_REMAP_HELP,
  withCluster,
} from './command-context.ts';

interface JoinFlags extends ClusterFlags {
  readonly token?: string;
  readonly scheduler?: string;
  readonly label?: Record<string, string>;
  readonly advertise?: string;
  readonly runtime?: Record<string, string>;
  readonly usernsRemap?: string;
  readonly selinux?: SELinuxUse;
}

/** Cluster names of joined machines: their data and groups never meet those of a control plane on the same machine. */
export const MEMBER_NAME = 'member';

export function addJoin(program: Command): void {
  withCluster(program.command('join'), MEMBER_NAME)
    .description('make this machine a host of a cluster and run its agent; without options: as last time')
    .option('--token <token>', 'from ./atoll token on the control plane')
    .option('--scheduler <host:port>', 'from the same line')
    .option('--label <key=value>', 'label of this node, for constraints; repeatable', collectPairs)
    .option('--runtime <name=path>', RUNTIME_HELP, collectRuntimes)
    .option('--userns-remap <ids>', USERNS_REMAP_HELP)
    .addOption(selinuxOption())
    .option(
      '--advertise <address>',
      'IPv4 address other machines reach this one at (default: the one used to reach the scheduler)',
    )
    .action(async (flags: JoinFlags) => {
      requireRoot('joining');
      const paths = pathsOf(flags);
      const steps = new StepList(() => view.show(steps.list()));
      const view = new ProgressView();
      try {
        const settings = await steps.run({ id: 'join', label: 'member of the cluster' }, () =>
          becomeMember(paths, flags),
        );
        await runAgent(paths, settings, steps, () => view.close());
      } finally {
        view.close();
      }
    });
}

async function becomeMember(paths: ClusterPaths, flags: JoinFlags): Promise<MemberSettings> {
  const known = await loadMember(paths);
  const tlsDir = memberTlsDir(paths, known?.hostname ?? hostname());
  const joined = known && (await access(join(tlsDir, 'cert.pem')).then(() => true, () => false)); // biome-ignore format: short
  if (joined && flags.token === undefined) {
    const settings = {
      ...known,
      labels: flags.label ?? known.labels,
      runtimes: flags.runtime ?? known.runtimes ?? {},
      usernsRemap: flags.usernsRemap ?? known.usernsRemap ?? '',
      selinux: flags.selinux ?? known.selinux ?? 'auto',
      address: flags.advertise ?? known.address,
    };
    await renewCertificate(known.schedulers[0] ?? '', tlsDir);
    await saveMember(paths, settings);
    return settings;
  }
  if (flags.token === undefined || flags.scheduler === undefined) {
    throw invalidArgument('this machine is no member yet: give --token and --scheduler as ./atoll token prints them');
  }
  const address = flags.advertise ?? (await addressTowards(flags.scheduler));
  if (!isIPv4(address)) throw invalidArgument(`--advertise ${address} is not an IPv4 address`);
  const answer = await joinCluster({
    token: flags.token,
    scheduler: flags.scheduler,
    hostname: hostname(),
    addresses: [address],
    tlsDir,
  });
  const settings = {
    hostname: hostname(),
    schedulers: answer.schedulers.length > 0 ? answer.schedulers : [flags.scheduler],
    registry: answer.registry,
    address,
    labels: flags.label ?? {},
    runtimes: flags.runtime ?? {},
    usernsRemap: flags.usernsRemap ?? '',
    selinux: flags.selinux ?? 'auto',
  };
  await saveMember(paths, settings);
  return settings;
}

async function runAgent(
  paths: ClusterPaths,
  settings: MemberSettings,
  steps: StepList,
  ready: () => void,
): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interrupted.abort());
  const agent = await memberAgent(paths, settings);
  await steps.run({ id: 'agent', label: 'agent', detail: `waiting for it, on ${settings.address}` }, async (detail) => {
    await agent.start();
    detail(`${settings.hostname}, ${settings.address}`);
  });
  ready();
  process.stderr.write('\nCtrl-C stops the agent; containers run on until ./atoll leave.\n');
  while (!interrupted.signal.aborted) {
    await sleep(60_000, undefined, { signal: interrupted.signal }).catch(() => undefined);
    await agent.limitLog();
  }
  await agent.stop(8000);
  await rm(paths.readyDir, { recursive: true, force: true });
}

/** The machine's own address on the way to the scheduler. */
function addressTowards(scheduler: string): Promise<string> {
  const at = scheduler.lastIndexOf(':');
  const known = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Promise((resolve, reject) => {
    const socket = createConnection({
      host: scheduler.slice(0, at),
      port: Number(scheduler.slice(at + 1)),
      timeout: 5000,
    });
    socket.once('connect', () => {
      const { localAddress = '' } = socket;
      socket.destroy();
      const own = known.find((address) => address.address === localAddress);
      if (own) resolve(own.address);
      else reject(invalidArgument('give --advertise: no address of this machine leads to the scheduler'));
    });
    socket.once('timeout', () => socket.destroy(new Error('no answer in 5 s')));
    socket.once('error', (cause) => reject(unavailable(`cannot reach ${scheduler}: ${cause.message}`, { cause })));
  });
}
