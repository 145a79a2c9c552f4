import { booleanFilter, formatRfc3339Nano, matchesLabels, parseFilters } from '@atoll/docker-api';
import { notFound } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import { currentStatus } from '../container/container-state.ts';
import type { VolumeBackend } from './backend.ts';

const QUERY = z.object({ filters: queryText() });

/** GET /volumes: the volumes that containers of the cluster use. */
export function listVolumes(backend: VolumeBackend): Handler {
  return async ({ query, response }) => {
    const filters = parseFilters(parseQuery(query, QUERY).filters, ['dangling', 'driver', 'label', 'name']);
    const shown = usedVolumes(backend).filter(
      ({ Name, Labels }) =>
        (filters.get('name')?.some((name) => Name.includes(name)) ?? true) &&
        (filters.get('driver')?.includes('local') ?? true) &&
        matchesLabels(filters.get('label'), Labels) &&
        booleanFilter(filters, 'dangling') !== true,
    );
    sendJson(response, 200, { Volumes: shown, Warnings: null });
  };
}

/** GET /volumes/{name} */
export function inspectVolume(backend: VolumeBackend): Handler {
  return async ({ params, response }) => {
    const found = usedVolumes(backend).find(({ Name }) => Name === params['name']);
    if (found === undefined) throw notFound(`get ${params['name']}: no such volume`);
    sendJson(response, 200, found);
  };
}

interface VolumeObject {
  readonly CreatedAt: string;
  readonly Driver: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Mountpoint: string;
  readonly Name: string;
  readonly Options: null;
  readonly Scope: string;
}

/** As old as the oldest container that uses it. */
export function usedVolumes(backend: VolumeBackend): readonly VolumeObject[] {
  const volumes = new Map<string, VolumeObject>();
  for (const view of backend.list()) {
    for (const mount of view.spec.mounts) {
      if (mount.type !== 'volume') continue;
      const hostname = view.node?.facts?.hostname;
      volumes.set(mount.source, {
        CreatedAt: formatRfc3339Nano(view.record.createdAtNs),
        Driver: 'local',
        Labels: {
          ...mount.volumeLabels,
          ...(mount.anonymous ? { 'com.docker.volume.anonymous': '' } : {}),
          ...(hostname === undefined ? {} : { 'atoll.node': hostname }),
        },
        Mountpoint: currentStatus(view)?.volumePaths[mount.source] ?? volumes.get(mount.source)?.Mountpoint ?? '',
        Name: mount.source,
        Options: null,
        Scope: 'local',
      });
    }
  }
  return [...volumes.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1));
}
