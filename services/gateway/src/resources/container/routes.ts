import type { RouteFactories } from '../../routing/route-factories.ts';
import { exportContainer, getArchive, putArchive, statArchive } from './archive.ts';
import { attachContainer, attachWebSocket } from './attach.ts';
import type { ContainerBackend } from './backend.ts';
import { commitContainer } from './commit.ts';
import { createContainer } from './create.ts';
import {
  killContainer,
  pauseContainer,
  removeContainer,
  renameContainer,
  restartContainer,
  startContainer,
  stopContainer,
  unpauseContainer,
  updateContainer,
} from './lifecycle.ts';
import { inspectContainer, listContainers } from './list.ts';
import { containerLogs } from './logs.ts';
import { pruneContainers } from './prune.ts';
import { containerChanges, resizeContainer, topContainer } from './questions.ts';
import { containerStats } from './stats.ts';
import { waitContainer } from './wait.ts';

export const CONTAINER_ROUTES = {
  ContainerList: listContainers,
  ContainerCreate: createContainer,
  ContainerInspect: inspectContainer,
  ContainerTop: topContainer,
  ContainerLogs: containerLogs,
  ContainerChanges: containerChanges,
  ContainerExport: exportContainer,
  ContainerStats: containerStats,
  ContainerResize: resizeContainer,
  ContainerStart: startContainer,
  ContainerStop: stopContainer,
  ContainerRestart: restartContainer,
  ContainerKill: killContainer,
  ContainerUpdate: updateContainer,
  ContainerRename: renameContainer,
  ContainerPause: pauseContainer,
  ContainerUnpause: unpauseContainer,
  ContainerAttach: attachContainer,
  ContainerAttachWebsocket: attachWebSocket,
  ContainerWait: waitContainer,
  ContainerDelete: removeContainer,
  ContainerArchiveInfo: statArchive,
  ContainerArchive: getArchive,
  PutContainerArchive: putArchive,
  ContainerPrune: pruneContainers,
  ImageCommit: commitContainer,
} as const satisfies RouteFactories<ContainerBackend>;
