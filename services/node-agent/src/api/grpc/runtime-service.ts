import { conflict, notFound } from '@atoll/errors';
import { containerV1, runtimeV1 } from '@atoll/proto';
import type { AllowTable, Handlers } from '@atoll/rpc';
import type { ContainerArchive } from '../../archive/container-archive.ts';
import type { ContainerManager } from '../../containers/container-manager.ts';
import { isActive } from '../../containers/container-states.ts';
import type { ExecRegistry } from '../../execs/exec-registry.ts';
import type { ExecStarter } from '../../execs/exec-starter.ts';
import type { HealthMonitor } from '../../health/health-monitor.ts';
import type { LayerStore } from '../../images/layer-store.ts';
import { attachShim } from '../../runtime/attach-shim.ts';
import type { CgroupReader } from '../../stats/cgroup-reader.ts';
import { processList } from '../../stats/process-list.ts';
import type { StatsSampler } from '../../stats/stats-sampler.ts';
import type { LayerCommitter } from '../../steps/layer-committer.ts';
import type { VolumeStore } from '../../volumes/volume-store.ts';
import { getArchive, putArchive } from './archive.ts';
import { attach } from './attach.ts';
import { commitLayer } from './commit.ts';
import { startExec } from './exec.ts';
import { logs } from './logs.ts';
import { wait } from './wait.ts';

type Service = runtimeV1.RuntimeServiceService;

export interface RuntimeServiceDependencies {
  readonly containers: ContainerManager;
  readonly registry: ExecRegistry;
  readonly starter: ExecStarter;
  readonly health: Pick<HealthMonitor, 'logOf'>;
  readonly stats: StatsSampler;
  readonly cgroups: CgroupReader;
  readonly cgroupPath: (id: string) => string;
  readonly archive: ContainerArchive;
  readonly layers: LayerStore;
  readonly volumes: VolumeStore;
  readonly committer: Pick<LayerCommitter, 'capture'>;
}

/** Who may call what: the gateway, for users it has let in. */
export const RUNTIME_SERVICE_ROLES: AllowTable<Service> = {
  attach: ['gateway'],
  logs: ['gateway'],
  wait: ['gateway'],
  getStatus: ['gateway'],
  resize: ['gateway'],
  top: ['gateway'],
  stats: ['gateway'],
  createExec: ['gateway'],
  startExec: ['gateway'],
  inspectExec: ['gateway'],
  resizeExec: ['gateway'],
  statArchive: ['gateway'],
  getArchive: ['gateway'],
  putArchive: ['gateway'],
  listChanges: ['gateway'],
  commitLayer: ['gateway'],
  getUsage: ['gateway'],
};

/** The data plane of this host's containers. */
export function runtimeService(dependencies: RuntimeServiceDependencies): Handlers<Service> {
  const { containers, registry, starter, health, stats, cgroups, cgroupPath, archive, layers, volumes, committer } =
    dependencies;
  return {
    attach: (requests, context) => attach(containers, requests, context),
    logs: (request, context) => logs(containers, request, context),
    wait: (request, context) => wait(containers, request, context),

    getStatus: async ({ containerId }) => {
      const container = containers.get(containerId);
      return {
        status: container.status,
        logPath: container.logDirectory,
        execIds: [...registry.idsOf(containerId)],
        health: health.logOf(containerId)?.toWire(),
      };
    },

    resize: async ({ containerId, window }, { signal }) => {
      const container = containers.get(containerId);
      if (!isActive(container.status.state)) throw conflict(`container ${containerId} is not running`);
      const session = await attachShim(container.bundle, { stdin: false, stdout: false, stderr: false }, signal);
      await session.resize({ rows: window?.height ?? 0, cols: window?.width ?? 0 });
      session.close();
      return {};
    },

    top: async ({ containerId, psArgs }) => {
      const { status } = containers.get(containerId);
      if (status.state === containerV1.ContainerState.RESTARTING) {
        throw conflict(`container ${containerId} is restarting, wait until the container is running`);
      }
      if (!isActive(status.state)) throw conflict(`container ${containerId} is not running`);
      const { titles, rows } = await processList(psArgs, await cgroups.processes(cgroupPath(containerId)));
      return { titles: [...titles], processes: rows.map((fields) => ({ fields: [...fields] })) };
    },

    stats: ({ containerId, stream, oneShot }, { signal }) =>
      stats.samples(containers.get(containerId), { stream, oneShot }, signal),

    createExec: async ({ containerId, spec }) => {
      const { id } = starter.create(containerId, spec ?? runtimeV1.ExecSpec.fromPartial({}));
      return { execId: id };
    },
    startExec: (requests, context) => startExec(registry, starter, requests, context),
    inspectExec: async ({ execId }) => {
      const { id, containerId, spec, state, pid, exitCode } = await registry.inspect(execId);
      return {
        execId: id,
        containerId,
        spec,
        running: state === 'running',
        exitCode,
        pid,
        canRemove: state === 'ended',
      };
    },
    resizeExec: async ({ execId, window }) => {
      const { session, state } = registry.get(execId);
      if (!session && state === 'running') {
        throw conflict(`exec ${execId} cannot be resized: it has outlived the agent that had its terminal`);
      }
      if (!session) throw notFound(`exec ${execId} is not running`);
      await session.resize({ rows: window?.height ?? 0, cols: window?.width ?? 0 });
      return {};
    },

    statArchive: async ({ containerId, path }, { signal }) => ({
      stat: await archive.stat(containers.get(containerId), path, signal),
    }),
    getArchive: (request, context) => getArchive(containers, archive, request, context),
    putArchive: (requests, context) => putArchive(containers, archive, requests, context),
    listChanges: async ({ containerId }, { signal }) => ({
      changes: [...(await archive.changes(containers.get(containerId), signal))],
    }),
    commitLayer: (request, context) => commitLayer(containers, committer, request, context),
    getUsage: async ({ volumes: measured }) => ({
      layersBytes: BigInt(await layers.usage()),
      containers: await Promise.all(
        containers.list().map(async (container) => ({
          containerId: container.id,
          ...(await archive.usage(container)),
        })),
      ),
      volumes: measured ? [...(await volumes.sizes())].map(([name, size]) => ({ name, size })) : [],
    }),
  };
}
