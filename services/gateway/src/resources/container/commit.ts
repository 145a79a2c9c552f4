import { formatRfc3339Nano } from '@atoll/docker-api';
import { conflict, hasReason, invalidArgument, notFound } from '@atoll/errors';
import { familiarString, parseReference } from '@atoll/reference';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ResolvedImage } from '../image/resolved-image.ts';
import { targetReference } from '../image/store.ts';
import type { ContainerCommits, ContainerImages, ContainerLookup, ContainerNews } from './backend.ts';
import { type CommitConfig, committedConfig } from './commit-config.ts';
import { committedDocument } from './commit-document.ts';
import { dockerState } from './container-state.ts';
import type { ContainerView } from './container-view.ts';
import { CONFIG_FIELDS } from './create-request.ts';
import { knownFields, texts } from './lenient-object.ts';

const QUERY = z.object({
  container: queryText(),
  repo: queryText(),
  tag: queryText(),
  comment: queryText(),
  author: queryText(),
  pause: queryFlag(true),
});
const BODY = knownFields({ ...CONFIG_FIELDS, OnBuild: texts }).nullable();

type Backend = ContainerLookup & ContainerImages & ContainerCommits & ContainerNews;

/**
 * POST /commit. All that can be refused is refused before the container is touched; the image is there and named when the answer
 * goes out, and until its last step nothing of it can be seen.
 */
export function commitContainer(backend: Backend): Handler {
  return async (context) => {
    const query = parseQuery(context.query, QUERY);
    const body = await readJson(context, BODY, { optional: true });
    if (query.container === '') throw invalidArgument('the query parameter "container" must be given');
    const view = backend.find(query.container);
    requireCommittable(view);
    const tag = query.repo === '' ? '' : targetReference(query.repo, query.tag);
    const config = committedConfig(view, givenConfig(body), context.query.getAll('changes'));
    const base = await baseOf(backend, view, context.signal);
    const layer = await backend.captureLayer(view, query.pause, context.signal);
    const created = formatRfc3339Nano(BigInt(Date.now()) * 1_000_000n);
    const { author, comment } = query;
    const document = committedDocument(base, view, layer, config, { author, comment, created });
    const id = await backend.storeImage(
      {
        config: Buffer.from(JSON.stringify(document)),
        layers: layer === undefined ? base.image.layers : [...base.image.layers, layer],
        parent: base.image.id,
        tag,
      },
      context.signal,
    );
    const imageRef = tag === '' ? {} : { imageRef: familiarString(parseReference(tag)) };
    backend.tell(view, 'commit', { comment, imageID: id, ...imageRef });
    sendJson(context.response, 201, { Id: id });
  };
}

/** Clients without a wish send nothing, null or an empty object: then the container's own config counts. */
function givenConfig(body: z.output<typeof BODY>): CommitConfig | undefined {
  if (body === null || Object.values(body).every((value) => value === undefined)) return undefined;
  const { User, ExposedPorts, Env, Cmd, Entrypoint, Healthcheck, Volumes, WorkingDir, Labels } = body;
  const { Shell, StopSignal, OnBuild } = body;
  return {
    User,
    ExposedPorts,
    Env,
    Cmd,
    Entrypoint,
    Healthcheck,
    Volumes,
    WorkingDir,
    Labels,
    Shell,
    StopSignal,
    OnBuild,
  };
}

function requireCommittable(view: ContainerView): void {
  const state = dockerState(view);
  if (state === 'dead') throw conflict(`You cannot commit container ${view.record.id} which is Dead`);
  if (state === 'removing') throw conflict(`You cannot commit container ${view.record.id} which is being removed`);
}

async function baseOf(backend: Backend, view: ContainerView, signal: AbortSignal): Promise<ResolvedImage> {
  const { imageId = '', reference = '' } = view.spec.image ?? {};
  try {
    return await backend.resolveContent(imageId, signal);
  } catch (error) {
    if (!hasReason(error, 'not-found')) throw error;
    throw notFound(
      `the image ${imageId} (${reference}) of container ${view.spec.name} was removed from the store; pull or load it again, then commit`,
      { cause: error },
    );
  }
}
