import type { Backends } from '../gateway-routes.ts';
import type { ContainerBackend } from '../resources/container/backend.ts';
import type { SocketMountPolicy } from '../resources/container/socket-mounts.ts';
import type { Agents } from './agents.ts';
import { ArchiveBackend } from './archive-backend.ts';
import type { BuilderBackend } from './build-backend.ts';
import type { ClusterState } from './cluster-state.ts';
import { CommitBackend } from './commit-backend.ts';
import type { EventTeller } from './event-teller.ts';
import { AgentExecs } from './exec-backend.ts';
import type { ImageClient, StoreBackend } from './image-backend.ts';
import type { KnownNetworks } from './known-networks.ts';
import type { LeaderCaller } from './leader-caller.ts';
import { LifecycleBackend } from './lifecycle-backend.ts';
import { NetworkAdapter } from './network-backend.ts';
import { PortBackend } from './port-backend.ts';
import type { PublishedPorts } from './published-ports.ts';
import { QuestionBackend } from './question-backend.ts';
import { StreamBackend } from './stream-backend.ts';
import type { ClusterSystem } from './system-backend.ts';
import { VolumeAdapter } from './volume-backend.ts';
import { VolumeCopyAdapter } from './volume-copy-backend.ts';

export interface BackendParts {
  readonly state: ClusterState;
  readonly networks: KnownNetworks;
  readonly agents: Agents;
  readonly leader: LeaderCaller;
  readonly ports: PublishedPorts;
  readonly store: StoreBackend;
  readonly images: ImageClient;
  readonly teller: EventTeller;
  readonly builder: BuilderBackend;
  readonly system: ClusterSystem;
  readonly socketMounts: SocketMountPolicy;
}

/** The wide interfaces of the routers, put together from the narrow adapters. */
export function composeBackends(parts: BackendParts): Backends {
  const { state, agents, store, system } = parts;
  const lookup = {
    find: state.find.bind(state),
    list: state.list.bind(state),
    nodeCount: state.nodeCount.bind(state),
  };
  const questions = bound(new QuestionBackend(state, agents), ['details', 'top', 'changes', 'sizes']);
  const containers: ContainerBackend = {
    ...lookup,
    ...questions,
    ...bound(new LifecycleBackend(state, parts.leader, parts.ports), [
      'create',
      'start',
      'stop',
      'restart',
      'kill',
      'pause',
      'unpause',
      'rename',
      'update',
      'remove',
    ]),
    ...bound(new PortBackend(state, parts.leader, parts.ports), ['publishPorts', 'withdrawPorts']),
    ...bound(new StreamBackend(state, agents), ['attach', 'logs', 'wait', 'stats', 'resize']),
    ...bound(new ArchiveBackend(agents), ['statPath', 'getArchive', 'exportRoot', 'putArchive']),
    ...bound(store, ['resolveContent', 'likelyContent']),
    ...bound(state, ['volumeHome']),
    socketMounts: parts.socketMounts,
    ...bound(parts.networks, ['findNetwork']),
    ...bound(new CommitBackend(state, agents, parts.images, () => store.forgetNames()), ['captureLayer', 'storeImage']),
    ...bound(parts.teller, ['tell', 'tellPrune']),
  };
  const execs = bound(new AgentExecs(state, agents), [
    'createExec',
    'startExec',
    'startDetachedExec',
    'inspectExec',
    'resizeExec',
  ]);
  const volumes = {
    ...bound(state, ['volumes', 'volumePlace']),
    ...bound(new VolumeAdapter(state, agents, parts.leader), ['createVolume', 'removeVolume', 'volumeSizes']),
  };
  return {
    containers,
    execs: { ...lookup, ...execs, ...bound(parts.teller, ['tell']) },
    images: { ...bound(store, IMAGE_METHODS), ...bound(parts.teller, ['tellPrune']) },
    builds: parts.builder,
    networks: {
      find: lookup.find,
      list: lookup.list,
      ...bound(parts.networks, ['findNetwork', 'listNetworks']),
      ...bound(new NetworkAdapter(state, parts.networks, parts.leader), NETWORK_METHODS),
      ...bound(parts.teller, ['tellPrune']),
      nodeNetworks: () =>
        state.nodes().map(({ record: { id, facts, containerSubnet } }) => ({
          nodeId: id,
          hostname: facts?.hostname ?? id,
          subnet: containerSubnet,
        })),
      clusterSinceNs: () =>
        state
          .nodes()
          .reduce((first, { record }) => (first === 0n || record.joinedAtNs < first ? record.joinedAtNs : first), 0n),
    },
    volumes: {
      ...lookup,
      ...volumes,
      ...bound(new VolumeCopyAdapter(state, agents, parts.leader), VOLUME_COPY_METHODS),
      ...bound(parts.teller, ['tellPrune']),
    },
    system: {
      ...lookup,
      ...questions,
      ...volumes,
      nodes: () => state.nodes(),
      ...bound(system, ['clusterId', 'storeUsage', 'events', 'checkAuth']),
    },
  };
}

const VOLUME_COPY_METHODS = [
  'backupVolume',
  'restoreVolume',
  'suspendRestore',
  'discardRestore',
  'cloneVolume',
  'moveVolume',
] as const;
const NETWORK_METHODS = ['createNetwork', 'removeNetwork', 'connect', 'disconnect'] as const;
const IMAGE_METHODS = [
  'resolveImage',
  'listImages',
  'history',
  'tagImage',
  'removeImage',
  'pruneImages',
  'containerCounts',
  'pullImage',
  'pushImage',
  'importImage',
  'loadImages',
  'saveImages',
] as const;

/** Some methods of an object as functions of their own. */
function bound<T extends object, K extends keyof T>(target: T, names: readonly K[]): Pick<T, K> {
  const entries = names.map((name) => [name, (target[name] as (...args: unknown[]) => unknown).bind(target)]);
  return Object.fromEntries(entries) as Pick<T, K>;
}
