import { formatRfc3339Nano } from '@atoll/docker-api';
import type { imageV1 } from '@atoll/proto';
import type { ResolvedImage } from './resolved-image.ts';

/** One entry of GET /images/json; a `sharedSize` of -1 is docker's "not counted". */
export function imageSummary(image: imageV1.Image, containers: number, sharedSize = -1): Record<string, unknown> {
  return {
    Containers: containers,
    Created: Number(image.createdAt),
    Id: image.id,
    Labels: Object.keys(image.labels).length === 0 ? null : image.labels,
    ParentId: image.parent,
    RepoDigests: image.repoDigests,
    RepoTags: image.repoTags,
    SharedSize: sharedSize,
    Size: Number(image.size),
  };
}

/** Answer of GET /images/{name}/json. */
export function imageObject({ image, config }: ResolvedImage, withDeprecated: boolean): Record<string, unknown> {
  const own = config.config ?? {};
  return {
    Id: image.id,
    RepoTags: image.repoTags,
    RepoDigests: image.repoDigests,
    Parent: image.parent,
    Comment: config.comment ?? config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? formatRfc3339Nano(image.createdAt * 1_000_000_000n),
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Config: {
      ...(withDeprecated ? DEPRECATED_CONFIG : {}),
      User: own.User ?? '',
      ...(own.ExposedPorts === undefined ? {} : { ExposedPorts: own.ExposedPorts }),
      Env: own.Env ?? null,
      Cmd: own.Cmd ?? null,
      ...(own.Healthcheck === undefined ? {} : { Healthcheck: own.Healthcheck }),
      ...(own.ArgsEscaped === true ? { ArgsEscaped: true } : {}),
      Volumes: own.Volumes ?? null,
      WorkingDir: own.WorkingDir ?? '',
      Entrypoint: own.Entrypoint ?? null,
      OnBuild: own.OnBuild ?? null,
      Labels: own.Labels ?? null,
      ...(own.StopSignal === undefined ? {} : { StopSignal: own.StopSignal }),
      ...(own.Shell === undefined ? {} : { Shell: own.Shell }),
    },
    Architecture: config.architecture ?? 'amd64',
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os ?? 'linux',
    Size: Number(image.size),
    ...(withDeprecated ? { VirtualSize: Number(image.size) } : {}),
    GraphDriver: { Data: {}, Name: 'overlay2' },
    RootFS: { Type: 'layers', Layers: image.layers.map((layer) => layer.diffId) },
    Metadata: { LastTagTime: formatRfc3339Nano(0n) },
  };
}

/**
 * Before API 1.45 an image told of the container it was made of. docker-compose 1.29, which speaks the newest version a server has, reads
 * its volumes there and fails without, so all are told.
 */
export function withContainerConfig(inspected: Record<string, unknown>): Record<string, unknown> {
  return { ...inspected, Container: '', ContainerConfig: inspected['Config'] };
}

/** Fields of a container's config that image inspect still showed before 1.50; always empty. */
const DEPRECATED_CONFIG = {
  Hostname: '',
  Domainname: '',
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Image: '',
};

export function historyObject(entry: imageV1.HistoryEntry): Record<string, unknown> {
  return {
    Id: entry.id,
    Created: Number(entry.created),
    CreatedBy: entry.createdBy,
    Tags: entry.tags.length === 0 ? null : entry.tags,
    Size: Number(entry.size),
    Comment: entry.comment,
  };
}

export function removedObject(removed: imageV1.RemovedImage): Record<string, string> {
  return removed.untagged === '' ? { Deleted: removed.deleted } : { Untagged: removed.untagged };
}
