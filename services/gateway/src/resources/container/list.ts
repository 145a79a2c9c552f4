import { isAtLeast } from '@atoll/docker-api';
import { hasReason } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag, queryInteger, queryText } from '../../routing/query.ts';
import { sendJson, sendJsonBody } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ResolvedImage } from '../image/resolved-image.ts';
import type { ContainerImages, ContainerLookup, ContainerQuestions } from './backend.ts';
import type { ContainerView } from './container-view.ts';
import { inspectObject } from './inspect-view.ts';
import { parseListFilters, selectContainers } from './list-filter.ts';
import { summaryObject } from './list-view.ts';
import { withShortIdAliases } from './networks-view.ts';
import { SummaryTexts } from './summary-texts.ts';

const LIST_QUERY = z.object({
  all: queryFlag(),
  limit: queryInteger(),
  size: queryFlag(),
  filters: queryText(),
});

type Backend = ContainerLookup & ContainerQuestions & ContainerImages;

/** GET /containers/json */
export function listContainers(backend: Backend): Handler {
  const summaries = new SummaryTexts();
  return async (context) => {
    const query = parseQuery(context.query, LIST_QUERY);
    const filters = parseListFilters(query.filters);
    const isAncestor = await ancestorTest(backend, filters.get('ancestor') ?? [], context.signal);
    const chosen = selectContainers(backend, { all: query.all, limit: query.limit ?? 0, filters }, isAncestor);
    const now = Date.now();
    if (!query.size) {
      sendJsonBody(context.response, 200, summaries.list(chosen, now));
      return;
    }
    const sizes = await backend.sizes(chosen, context.signal);
    const entries = chosen.map((view) => summaryObject(view, now, sizesOf(view, sizes)));
    sendJson(context.response, 200, entries);
  };
}

const INSPECT_QUERY = z.object({ size: queryFlag() });

/** GET /containers/{id}/json */
export function inspectContainer(backend: Backend): Handler {
  return async (context) => {
    const view = backend.find(context.params['id'] ?? '');
    const { size } = parseQuery(context.query, INSPECT_QUERY);
    const [details, sizes] = await Promise.all([
      // A host that does not answer must not hide what the cluster knows.
      backend.details(view, context.signal).catch(() => undefined),
      size ? backend.sizes([view], context.signal) : undefined,
    ]);
    const inspected = inspectObject(view, details, sizes && sizesOf(view, sizes));
    const isNew = isAtLeast(context.version, 45);
    sendJson(context.response, 200, isNew ? inspected : withShortIdAliases(inspected, view));
  };
}

/** Undefined when the container's host does not say. */
function sizesOf(
  view: ContainerView,
  sizes: ReadonlyMap<string, number>,
): { readonly sizeRw: number; readonly sizeRootFs: number } | undefined {
  const sizeRw = sizes.get(view.record.id);
  if (sizeRw === undefined) return undefined;
  const layers = (view.spec.image?.layers ?? []).reduce((sum, layer) => sum + Number(layer.size), 0);
  return { sizeRw, sizeRootFs: sizeRw + layers };
}

/** `ancestor`: the container's image is one of those named, or was built on one of them. */
async function ancestorTest(
  backend: Backend,
  names: readonly string[],
  signal: AbortSignal,
): Promise<(view: ContainerView) => boolean> {
  if (names.length === 0) return () => true;
  const found = await Promise.all(names.map((name) => resolveIfThere(backend, name, signal)));
  const images = found.filter((image) => image !== undefined).map(({ image }) => image);
  return ({ spec }) =>
    images.some((image) => {
      if (spec.image?.imageId === image.id) return true;
      const own = spec.image?.layers ?? [];
      return own.length > image.layers.length && image.layers.every((layer, at) => layer.diffId === own[at]?.diffId);
    });
}

async function resolveIfThere(backend: Backend, name: string, signal: AbortSignal): Promise<ResolvedImage | undefined> {
  try {
    return await backend.resolveContent(name, signal);
  } catch (error) {
    if (hasReason(error, 'not-found')) return undefined;
    throw error;
  }
}
