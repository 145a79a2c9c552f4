import { isAtLeast, parseFilters } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { formatReference, parseReference } from '@atoll/reference';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { PruneNews } from '../container/backend.ts';
import { checkPlatform } from '../container/platform.ts';
import type { ImageStore } from './backend.ts';
import { historyObject, imageObject, imageSummary, removedObject, withContainerConfig } from './image-view.ts';
import { sharedSizes } from './shared-sizes.ts';

const LIST_QUERY = z.object({
  all: queryFlag(),
  filters: queryText(),
  filter: queryText(),
  'shared-size': queryFlag(),
  digests: queryFlag(),
  manifests: queryFlag(),
});
const LIST_FILTERS = ['dangling', 'label', 'before', 'since', 'reference', 'until'];

/** GET /images/json */
export function listImages(backend: ImageStore): Handler {
  return async ({ query, response, signal }) => {
    const asked = parseQuery(query, LIST_QUERY);
    if (asked.manifests) throw unimplemented('GET /images/json: the parameter "manifests" is not built yet');
    const filters = new Map(parseFilters(asked.filters, LIST_FILTERS));
    // Clients of API 1.24 named one image here.
    if (asked.filter !== '') filters.set('reference', [asked.filter]);
    const images = await backend.listImages({ all: asked.all, filters }, signal);
    const counts = backend.containerCounts();
    const shared = asked['shared-size'] ? sharedSizes(images) : new Map<string, number>();
    sendJson(
      response,
      200,
      images.map((image) => imageSummary(image, counts.get(image.id) ?? 0, shared.get(image.id))),
    );
  };
}

const INSPECT_QUERY = z.object({ manifests: queryFlag(), platform: queryText() });

/** GET /images/{name}/json */
export function inspectImage(backend: ImageStore): Handler {
  return async ({ params, query, response, signal, version }) => {
    const { manifests, platform } = parseQuery(query, INSPECT_QUERY);
    if (manifests) throw unimplemented('GET /images/{name}/json: the parameter "manifests" is not built yet');
    const name = params['name'] ?? '';
    const resolved = await backend.resolveImage(name, signal);
    checkPlatform(platformText(platform), name, resolved.config);
    sendJson(response, 200, withContainerConfig(imageObject(resolved, !isAtLeast(version, 50))));
  };
}

/** Since 1.48 platforms come as JSON. */
export function platformText(text: string): string {
  if (!text.startsWith('{')) return text;
  const parsed = PLATFORM.safeParse(JSON.parse(text));
  if (!parsed.success) throw invalidArgument('invalid value for query parameter "platform"');
  const { os, architecture, variant } = parsed.data;
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

const PLATFORM = z.object({ os: z.string(), architecture: z.string().optional(), variant: z.string().optional() });

/** GET /images/{name}/history */
export function imageHistory(backend: ImageStore): Handler {
  return async ({ params, response, signal }) => {
    const entries = await backend.history(params['name'] ?? '', signal);
    sendJson(response, 200, entries.map(historyObject));
  };
}

const TAG_QUERY = z.object({ repo: queryText(), tag: queryText() });

/** POST /images/{name}/tag */
export function tagImage(backend: ImageStore): Handler {
  return async ({ params, query, response, signal }) => {
    const { repo, tag } = parseQuery(query, TAG_QUERY);
    await backend.tagImage(params['name'] ?? '', targetReference(repo, tag), signal);
    sendEmpty(response, 201);
  };
}

/** `repo` and `tag` of a tag, import or commit call as one reference. @throws invalid-argument */
export function targetReference(repo: string, tag: string): string {
  const parsed = parseReference(tag === '' || repo.includes('@') ? repo : `${repo.replace(/:[\w.-]+$/, '')}:${tag}`);
  if (parsed.digest !== undefined) throw invalidArgument('refusing to create a tag with a digest reference');
  return formatReference({ ...parsed, tag: parsed.tag ?? 'latest' });
}

const REMOVE_QUERY = z.object({ force: queryFlag(), noprune: queryFlag(), platforms: queryText() });

/** DELETE /images/{name} */
export function removeImage(backend: ImageStore): Handler {
  return async ({ params, query, response, signal }) => {
    const { force, noprune, platforms } = parseQuery(query, REMOVE_QUERY);
    if (platforms !== '') throw unimplemented('DELETE /images/{name}: the parameter "platforms" is not built yet');
    const removed = await backend.removeImage(params['name'] ?? '', { force, noPrune: noprune }, signal);
    sendJson(response, 200, removed.map(removedObject));
  };
}

const PRUNE_QUERY = z.object({ filters: queryText() });

/** POST /images/prune */
export function pruneImages(backend: ImageStore & PruneNews): Handler {
  return async ({ query, response, signal }) => {
    const filters = parseFilters(parseQuery(query, PRUNE_QUERY).filters, ['dangling', 'until', 'label', 'label!']);
    const { removed, reclaimed } = await backend.pruneImages(filters, signal);
    backend.tellPrune('image', reclaimed);
    sendJson(response, 200, {
      ImagesDeleted: removed.length === 0 ? null : removed.map(removedObject),
      SpaceReclaimed: reclaimed,
    });
  };
}
