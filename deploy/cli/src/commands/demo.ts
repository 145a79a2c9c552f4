import { rm } from 'node:fs/promises';
import { failedPrecondition } from '@atoll/errors';
import type { Command } from 'commander';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { type ClusterState, readLiveState } from '../cluster/cluster-state.ts';
import { sendOrder } from '../cluster/control-client.ts';
import { stopCluster } from '../cluster/stop-cluster.ts';
import { DemoRun } from '../demo/demo-run.ts';
import { DockerApi } from '../demo/docker-api.ts';
import type { WebContainer } from '../demo/web-container.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { StepList } from '../progress/step-list.ts';
import { terminalStyle } from '../progress/terminal-style.ts';
import { type ClusterFlags, pathsOf, requireRoot, withCluster } from './command-context.ts';
import { table } from './table.ts';
import { untilInterrupted } from './until-interrupted.ts';
import { showStart, stayUntilInterrupted } from './up.ts';

interface DemoFlags extends ClusterFlags {
  readonly exit?: boolean;
}

const HOSTS = 3;
/** A cluster of its own, for the demo deletes its data at the end. */
const NAME = 'demo';
const CONTAINER_GRACE_MS = 1000;

export function addDemo(program: Command): void {
  withCluster(program.command('demo'), NAME)
    .description('three hosts on this machine: build, run, request, log, exec, lose a host; every step is checked')
    .option('--exit', 'end by itself and clean up, instead of leaving the cluster running until Ctrl-C')
    .action(async (flags: DemoFlags) => {
      requireRoot('the demo');
      const paths = pathsOf(flags);
      if (await readLiveState(paths)) {
        throw failedPrecondition(`a cluster ${paths.name} runs already: ./atoll down --name ${paths.name} ends it`);
      }
      if (paths.name !== NAME && (await loadSettings(paths))) {
        throw failedPrecondition(
          `${paths.dataRoot} has data of a cluster, and the demo deletes its data: use another --name`,
        );
      }
      await cleanUp(paths);
      try {
        await demonstrate(paths, flags);
      } finally {
        await cleanUp(paths);
      }
    });
}

async function demonstrate(paths: ClusterPaths, flags: DemoFlags): Promise<void> {
  const state = await untilInterrupted(async (signal) => {
    heading(`${HOSTS} hosts on this machine`);
    const ready = await showStart(paths, { hosts: HOSTS, strategy: 'spread', registryMirrors: {} }, signal);
    await mainJob(paths);
    return ready;
  });
  if (flags.exit) return inviteAgain();
  goOn(state);
  await stayUntilInterrupted(paths, state, CONTAINER_GRACE_MS);
}

async function mainJob(paths: ClusterPaths): Promise<void> {
  const docker = new DockerApi(paths.dockerSocket);
  let view = new ProgressView();
  let steps = new StepList();
  const chapter = (title: string): void => {
    view.close();
    view = new ProgressView();
    heading(title);
    const current = view;
    steps = new StepList(() => current.show(steps.list()));
  };
  const options = {
    docker,
    get steps() {
      return steps;
    },
    killHost: (host: string) => sendOrder(paths, `/hosts/${host}/kill`),
  };
  const run = new DemoRun(options);
  try {
    chapter('An image from a Dockerfile, and six containers of it');
    await run.buildImage();
    await run.runContainers();
    view.close();
    showContainers(run.containers);
    chapter('Any container, wherever it runs');
    await run.followLogs();
    await run.execute();
    chapter('A host loses power');
    await run.loseHost();
    view.close();
    showContainers(run.containers);
  } finally {
    view.close();
  }
}

function showContainers(containers: readonly WebContainer[]): void {
  const rows = containers.map(({ name, id, host, port }) => [name, id.slice(0, 12), host, `http://localhost:${port}/`]);
  const lines = table(['CONTAINER', 'ID', 'HOST', 'ADDRESS'], rows).split('\n');
  process.stdout.write(`\n${lines.map((line) => (line ? `  ${line}` : '')).join('\n')}`);
}

function heading(text: string): void {
  process.stderr.write(`\n${terminalStyle().bold(text)}\n\n`);
}

function goOn(state: ClusterState): void {
  heading('Go on with the docker client');
  process.stdout.write(`export DOCKER_HOST=${state.endpoints['docker']}\n`);
  process.stdout.write("docker ps --format 'table {{.Names}}\\t{{.Status}}\\t{{.Ports}}'\n");
  process.stdout.write('docker exec -it web-1 sh\n');
}

/** The demo's cluster ends with the command: what it would have said to go on with is gone then. */
function inviteAgain(): void {
  heading('All of it worked; the cluster of this demo ends now. One that stays:');
  process.stdout.write('./atoll up --hosts 3 --detach\n');
}

/** The demo's cluster leaves nothing, whatever happened. */
async function cleanUp(paths: ClusterPaths): Promise<void> {
  await stopCluster(paths, { containerGraceMs: CONTAINER_GRACE_MS }, () => undefined);
  await rm(paths.dataRoot, { recursive: true, force: true });
}
