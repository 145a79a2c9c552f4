import { hasReason, invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ResolvedImage } from '../image/resolved-image.ts';
import type { NetworkLookup } from '../network/backend.ts';
import type { ContainerImages, ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import type { HostConfigRequest } from './host-config-request.ts';
import { linksOf } from './links.ts';
import type { MountSources } from './mounts.ts';
import { type JoinedContainers, joinedContainers } from './namespaces.ts';
import type { NetworkNames } from './network-endpoints.ts';
import { inheritedMounts } from './volumes-from.ts';

/** What a create request names beside its image, looked up. */
export interface CreateReferences extends MountSources {
  readonly joined: JoinedContainers;
  readonly links: readonly containerV1.Link[];
  readonly networkName: NetworkNames;
  /** Containers it has to be on one host with. */
  readonly beside: readonly ContainerView[];
}

export const NO_REFERENCES: CreateReferences = {
  images: new Map(),
  inherited: [],
  joined: new Map(),
  links: [],
  networkName: (reference) => reference,
  beside: [],
};

/** @throws invalid-argument for containers and images that do not exist */
export async function referencesOf(
  host: HostConfigRequest,
  backend: ContainerLookup & ContainerImages & Pick<NetworkLookup, 'findNetwork'>,
  signal: AbortSignal,
): Promise<CreateReferences> {
  const inherited = inheritedMounts(host.VolumesFrom ?? [], backend);
  const joined = joinedContainers(host, backend);
  const linked = linksOf(host, backend);
  const names = new Set(
    (host.Mounts ?? []).flatMap(({ Type, Source }) => (Type === 'image' && Source ? [Source] : [])),
  );
  const images = new Map<string, ResolvedImage>();
  for (const name of names) {
    const found = await backend.resolveContent(name, signal).catch((error: unknown) => {
      // The mount's own check says so in its words.
      if (hasReason(error, 'not-found', 'invalid-argument')) return undefined;
      throw error;
    });
    if (found) images.set(name, found);
  }
  return {
    images,
    inherited: inherited.mounts,
    joined,
    links: linked.links,
    networkName: (reference) => backend.findNetwork(reference)?.name ?? reference,
    beside: [...inherited.containers, ...joined.values(), ...linked.containers],
  };
}

/**
 * The constraint that puts a container on the host of those it shares something with.
 * @throws invalid-argument when they are on several hosts
 */
export function placeBeside(beside: readonly ContainerView[]): readonly string[] {
  const hosts = new Map(beside.map(({ record, node }) => [record.nodeId, node?.facts?.hostname ?? record.nodeId]));
  if (hosts.size > 1) {
    const where = beside.map(({ spec, record }) => `${spec.name} on ${hosts.get(record.nodeId)}`);
    throw invalidArgument(`the containers this one shares something with are on different hosts: ${where.join(', ')}`);
  }
  const [host] = hosts.keys();
  return host === undefined ? [] : [`node.id==${host}`];
}
