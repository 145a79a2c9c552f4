import { booleanFilter, type Filters, isAtLeast, matchesLabels, parseFilters, volumeSource } from '@atoll/docker-api';
import { hasReason, notFound, unimplemented } from '@atoll/errors';
import { volumeV1 } from '@atoll/proto';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { knownFields, text, textMap, unbuilt } from '../container/lenient-object.ts';
import type { VolumeBackend } from './backend.ts';
import { type KnownVolume, knownVolumes, volumeLabels, volumeObject } from './volume-view.ts';

const FILTERED = z.object({ filters: queryText() });

/** GET /volumes */
export function listVolumes(backend: VolumeBackend): Handler {
  return async ({ query, response }) => {
    const filters = parseFilters(parseQuery(query, FILTERED).filters, ['dangling', 'driver', 'label', 'name']);
    const dangling = booleanFilter(filters, 'dangling');
    const shown = [...knownVolumes(backend).values()].filter(
      (volume) =>
        (filters.get('name')?.some((name) => volume.record.name.includes(name)) ?? true) &&
        (filters.get('driver')?.includes(volume.record.driver) ?? true) &&
        matchesLabels(filters.get('label'), volumeLabels(backend, volume)) &&
        (dangling === undefined || dangling === (volume.users.length === 0)),
    );
    sendJson(response, 200, { Volumes: shown.map((volume) => volumeObject(backend, volume)), Warnings: null });
  };
}

/** GET /volumes/{name} */
export function inspectVolume(backend: VolumeBackend): Handler {
  return async ({ params, response }) => {
    const name = params['name'] ?? '';
    const found = knownVolumes(backend).get(name);
    if (found === undefined) throw notFound(`get ${name}: no such volume`);
    sendJson(response, 200, volumeObject(backend, found));
  };
}

const CREATE = knownFields({
  Name: text,
  Driver: text,
  DriverOpts: textMap,
  Labels: textMap,
  ClusterVolumeSpec: unbuilt(),
});

/** POST /volumes/create */
export function createVolume(backend: VolumeBackend): Handler {
  return async (context) => {
    const { Name, Driver, DriverOpts, Labels } = await readJson(context, CREATE, { optional: true });
    if (Driver && Driver !== 'local') {
      throw notFound(
        `error looking up volume plugin ${Driver}: plugin "${Driver}" not found: there is the driver local`,
      );
    }
    volumeSource(DriverOpts ?? {});
    const asked = volumeV1.VolumeRecord.fromPartial({
      name: Name ?? '',
      driver: Driver ?? '',
      labels: Labels ?? {},
      options: DriverOpts ?? {},
    });
    const record = await backend.createVolume(asked, context.signal);
    sendJson(context.response, 201, volumeObject(backend, { record, users: [] }));
  };
}

/** PUT /volumes/{name}: only cluster volumes can be changed. */
export function updateVolume(backend: VolumeBackend): Handler {
  return async ({ params }) => {
    const name = params['name'] ?? '';
    if (!knownVolumes(backend).has(name)) throw notFound(`get ${name}: no such volume`);
    throw unimplemented(`volume ${name} cannot be changed: only volumes of CSI plugins can, which are not built`);
  };
}

const REMOVE = z.object({ force: queryFlag() });

/** DELETE /volumes/{name} */
export function removeVolume(backend: VolumeBackend): Handler {
  return async ({ params, query, response, signal }) => {
    const { force } = parseQuery(query, REMOVE);
    try {
      await backend.removeVolume(params['name'] ?? '', force, signal);
    } catch (error) {
      if (!force || !hasReason(error, 'not-found')) throw error;
    }
    sendEmpty(response, 204);
  };
}

/** From this minor version on only anonymous volumes are pruned, unless the filter `all` is given. */
const ANONYMOUS_ONLY = 42;

/** POST /volumes/prune */
export function pruneVolumes(backend: VolumeBackend): Handler {
  return async ({ query, response, signal, version }) => {
    const old = !isAtLeast(version, ANONYMOUS_ONLY);
    const filters = parseFilters(parseQuery(query, FILTERED).filters, ['label', 'label!', ...(old ? [] : ['all'])]);
    const all = old || booleanFilter(filters, 'all') === true;
    const chosen = [...knownVolumes(backend).values()].filter(
      (volume) => volume.users.length === 0 && (all || volume.record.anonymous) && matches(volume, filters),
    );
    const sizes = chosen.length > 0 ? await backend.volumeSizes(signal) : new Map<string, number>();
    const deleted: string[] = [];
    for (const { record } of chosen) {
      try {
        await backend.removeVolume(record.name, false, signal);
        deleted.push(record.name);
      } catch (error) {
        // Taken into use or removed by somebody else meanwhile, or on a host that is away: not ours to prune now.
        if (!hasReason(error, 'conflict', 'not-found', 'unavailable')) throw error;
      }
    }
    const reclaimed = deleted.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
    backend.tellPrune('volume', reclaimed);
    sendJson(response, 200, { VolumesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed });
  };
}

function matches({ record: { labels } }: KnownVolume, filters: Filters): boolean {
  if (!matchesLabels(filters.get('label'), labels)) return false;
  return (filters.get('label!') ?? []).every((label) => !matchesLabels([label], labels));
}
