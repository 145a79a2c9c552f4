import { defaultBridgeOf } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import type { ContainerLookup } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import type { HostConfigRequest } from './host-config-request.ts';
import { otherContainer } from './volumes-from.ts';

const ALIAS = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const BRIDGE = new Set(['', 'default', 'bridge']);
const isUserNetwork = (mode: string): boolean =>
  !BRIDGE.has(mode) && mode !== 'host' && mode !== 'none' && !mode.startsWith('container:');

export interface Links {
  readonly links: readonly containerV1.Link[];
  readonly containers: readonly ContainerView[];
}

/** `container[:alias]`, of containers on the default bridge. @throws invalid-argument in docker's words */
export function linksOf(host: HostConfigRequest, lookup: ContainerLookup): Links {
  // In a network of a user they are names of that network: see network-endpoints.ts.
  const given = isUserNetwork(host.NetworkMode ?? '') ? [] : (host.Links ?? []);
  if (given.length > 0 && !BRIDGE.has(host.NetworkMode ?? '')) {
    const type = host.NetworkMode?.startsWith('container:') ? 'container' : host.NetworkMode;
    throw invalidArgument(
      `conflicting options: ${type} type network can't be used with links. This would result in undefined behavior`,
    );
  }
  const links = new Map<string, containerV1.Link>();
  const containers: ContainerView[] = [];
  for (const item of given) {
    const [reference = '', alias = reference.replace(/^\//, ''), ...rest] = item.split(':');
    if (reference === '' || rest.length > 0 || !ALIAS.test(alias)) {
      throw invalidArgument(`HostConfig.Links: bad format for links: ${item}: want container[:alias]`);
    }
    const view = otherContainer(reference, 'Links', lookup);
    if (!defaultBridgeOf(view.record)) {
      throw invalidArgument(
        `HostConfig.Links: container ${view.spec.name} is not on the default bridge, and cannot be linked to`,
      );
    }
    const known = links.get(alias);
    if (known && known.containerId !== view.record.id) {
      throw invalidArgument(`HostConfig.Links: alias ${alias} is given to ${known.name} and ${view.spec.name}`);
    }
    links.set(alias, { containerId: view.record.id, name: view.spec.name, alias });
    containers.push(view);
  }
  return { links: [...links.values()], containers };
}
