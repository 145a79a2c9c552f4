import { invalidArgument } from '@atoll/errors';
import { type buildV1, containerV1 } from '@atoll/proto';
import { containerPlan, hostnames } from '../containers/container-plan.ts';
import { SIGKILL } from '../containers/signals.ts';
import { startFailure } from '../containers/start-failure.ts';
import { networkFiles } from '../network/network-files.ts';
import { attachShim } from '../runtime/attach-shim.ts';
import { launchShim } from '../runtime/launch-shim.ts';
import type { BuildHost } from './build-host.ts';
import type { StepWorkspace } from './step-workspaces.ts';

/** What RUN does not need of Docker's set (Podman's set for builds). */
const DROPPED = ['MKNOD', 'NET_RAW', 'AUDIT_WRITE'];

/** Runs a command above the base layers; what it has written is a new layer. Ends, with all it started, when the signal aborts. */
export async function* runStep(
  build: BuildHost,
  request: buildV1.RunStepRequest,
  signal: AbortSignal,
): AsyncGenerator<buildV1.RunStepResponse> {
  const lease = await build.layers.acquire(request.base?.layers ?? [], signal);
  try {
    await using workspace = await build.workspaces.create();
    const exitCode = yield* execute(build, request, lease.directories, workspace, signal);
    const layer =
      exitCode === 0 ? await build.committer.commit(workspace.upper, request.sourceDateEpoch, signal) : undefined;
    yield { message: { $case: 'result', value: { exitCode, layer, empty: exitCode === 0 && layer === undefined } } };
  } finally {
    lease.release();
  }
}

async function* execute(
  build: BuildHost,
  request: buildV1.RunStepRequest,
  directories: readonly string[],
  workspace: StepWorkspace,
  signal: AbortSignal,
): AsyncGenerator<buildV1.RunStepResponse, number> {
  const { network, host, spawner, initLayer } = build;
  const record = recordOf(request, workspace.id);
  const mode = record.spec?.network?.mode;
  if (mode === 'default') await network.ready();
  const endpoint = mode === 'default' ? network.take(workspace.id, '') : undefined;
  try {
    const identity = { ...hostnames(record, host), address: endpoint?.address ?? '', gateway: endpoint?.gateway ?? '' };
    const { paths, files } = await networkFiles(workspace.directory, record.spec?.network, identity);
    const parts = {
      root: {
        kind: 'overlay' as const,
        lowers: [initLayer, ...directories],
        upper: workspace.upper,
        work: workspace.work,
        readonly: false,
      },
      network: endpoint && network.plan(workspace.id, endpoint),
      mounts: [],
      files: paths,
      logDirectory: workspace.logs,
    };
    const plan = containerPlan(record, { ...parts, labels: await host.selinux.labelsOf(record) }, host);
    await host.apparmor.ready(plan.process.apparmor);
    const launch = { bundle: workspace.directory, files, plan };
    const launched = await launchShim(spawner, launch, () => undefined, signal);
    using client = launched.client;
    const kill = (): void => void client.kill(SIGKILL, 'all', AbortSignal.timeout(30_000)).catch(() => undefined);
    signal.addEventListener('abort', kill, { once: true });
    try {
      const streams = { stdin: false, stdout: true, stderr: true };
      const session = await attachShim(workspace.directory, streams, signal);
      await client.start(signal).catch((error: unknown) => {
        throw startFailure(error);
      });
      for await (const { stream, data } of session.output()) {
        signal.throwIfAborted();
        yield { message: { $case: 'output', value: { stderr: stream === 'stderr', data } } };
      }
      const { code } = await session.exit;
      signal.throwIfAborted();
      session.close();
      await client.closed;
      return code;
    } finally {
      signal.removeEventListener('abort', kill);
    }
  } finally {
    host.selinux.release(workspace.id);
    if (endpoint) network.release(workspace.id, endpoint.address);
  }
}

function recordOf(request: buildV1.RunStepRequest, id: string): containerV1.ContainerRecord {
  const mode = request.networkMode || 'default';
  if (mode !== 'default' && mode !== 'bridge' && mode !== 'none' && mode !== 'host') {
    throw invalidArgument(`network mode "${mode}" is not supported for builds: default, none and host are`);
  }
  return containerV1.ContainerRecord.fromPartial({
    id,
    spec: {
      process: { cmd: request.argv, env: request.env, cwd: request.cwd, user: request.user },
      resources: request.resources,
      security: { capDrop: DROPPED },
      network: {
        mode: mode === 'bridge' ? 'default' : mode,
        hostname: request.hostname,
        extraHosts: request.extraHosts,
      },
      shmSize: request.shmSize,
    },
  });
}
