import { pipeline } from 'node:stream/promises';
import { decodeAuthHeader } from '@atoll/docker-api';
import { invalidArgument, unimplemented } from '@atoll/errors';
import { familiarString, parseReference } from '@atoll/reference';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import type { Handler, RequestContext } from '../../routing/request-context.ts';
import type { ImageTransfers } from './backend.ts';
import { progressMessages, streamMessages } from './progress-stream.ts';
import { platformText } from './store.ts';

const CREATE_QUERY = z.object({
  fromImage: queryText(),
  fromSrc: queryText(),
  repo: queryText(),
  tag: queryText(),
  message: queryText(),
  platform: queryText(),
});

/** POST /images/create: pull, or import of a root file system. */
export function createImage(backend: ImageTransfers): Handler {
  return async (context) => {
    const asked = parseQuery(context.query, CREATE_QUERY);
    if (asked.fromImage !== '') return await pull(backend, context, asked);
    if (asked.fromSrc === '')
      throw invalidArgument('one of the query parameters "fromImage" and "fromSrc" must be given');
    return await importRoot(backend, context, asked);
  };
}

type CreateQuery = z.output<typeof CREATE_QUERY>;

async function pull(backend: ImageTransfers, context: RequestContext, asked: CreateQuery): Promise<void> {
  const { request, response, signal } = context;
  request.resume();
  const { reference, allTags } = pullReference(asked.fromImage, asked.tag);
  const auth = decodeAuthHeader(header(context, 'x-registry-auth'));
  const platform = platformText(asked.platform);
  const progress = backend.pullImage({ reference, allTags, platform, auth }, signal);
  await streamMessages(response, progressMessages(progress), signal);
}

/** A tag that is a digest names exactly one image; neither tag nor digest means all tags. */
function pullReference(name: string, tag: string): { readonly reference: string; readonly allTags: boolean } {
  const text = tag === '' ? name : `${name}${tag.includes(':') ? '@' : ':'}${tag}`;
  const parsed = parseReference(text);
  const allTags = parsed.tag === undefined && parsed.digest === undefined;
  return { reference: familiarString(parsed), allTags };
}

async function importRoot(backend: ImageTransfers, context: RequestContext, asked: CreateQuery): Promise<void> {
  const { request, response, signal } = context;
  if (asked.fromSrc !== '-')
    throw unimplemented('POST /images/create: importing from a URL is not built yet (fromSrc)');
  if (asked.repo !== '') parseReference(asked.tag === '' ? asked.repo : `${asked.repo}:${asked.tag}`);
  const start = {
    repository: asked.repo,
    tag: asked.tag,
    changes: context.query.getAll('changes'),
    message: asked.message,
    platform: platformText(asked.platform),
  };
  const progress = backend.importImage(start, request as AsyncIterable<Buffer>, signal);
  await streamMessages(response, progressMessages(progress), signal);
}

const PUSH_QUERY = z.object({ tag: queryText(), platform: queryText() });

/** POST /images/{name}/push */
export function pushImage(backend: ImageTransfers): Handler {
  return async (context) => {
    const { params, query, request, response, signal } = context;
    const { tag, platform } = parseQuery(query, PUSH_QUERY);
    if (platform !== '') throw unimplemented('POST /images/{name}/push: the parameter "platform" is not built yet');
    request.resume();
    const name = params['name'] ?? '';
    const parsed = parseReference(tag === '' ? name : `${name}:${tag}`);
    if (parsed.digest !== undefined) throw invalidArgument('cannot push a digest reference');
    if (parsed.tag === undefined) {
      throw unimplemented('POST /images/{name}/push: pushing all tags is not built yet: give a tag');
    }
    const auth = decodeAuthHeader(header(context, 'x-registry-auth'));
    const progress = backend.pushImage({ reference: familiarString(parsed), auth }, signal);
    await streamMessages(response, progressMessages(progress), signal);
  };
}

const LOAD_QUERY = z.object({ quiet: queryFlag(true), platform: queryText() });

/** POST /images/load */
export function loadImages(backend: ImageTransfers): Handler {
  return async ({ query, request, response, signal }) => {
    const { platform, quiet } = parseQuery(query, LOAD_QUERY);
    if (platform !== '') throw unimplemented('POST /images/load: the parameter "platform" is not built yet');
    const progress = backend.loadImages(request as AsyncIterable<Buffer>, signal);
    await streamMessages(
      response,
      quiet ? withoutBars(progressMessages(progress)) : progressMessages(progress),
      signal,
    );
  };
}

async function* withoutBars(messages: ReturnType<typeof progressMessages>): ReturnType<typeof progressMessages> {
  for await (const message of messages) if (message.progressDetail === undefined) yield message;
}

/** GET /images/{name}/get */
export function saveImage(backend: ImageTransfers): Handler {
  return async (context) => await save(backend, context, [context.params['name'] ?? '']);
}

/** GET /images/get */
export function saveImages(backend: ImageTransfers): Handler {
  return async (context) => await save(backend, context, context.query.getAll('names'));
}

async function save(backend: ImageTransfers, context: RequestContext, names: readonly string[]): Promise<void> {
  if ((context.query.get('platform') ?? '') !== '') {
    throw unimplemented('GET /images/get: the parameter "platform" is not built yet');
  }
  if (names.length === 0) throw invalidArgument('the query parameter "names" must be given');
  const tar = backend.saveImages(names, context.signal)[Symbol.asyncIterator]();
  // An unknown name is an error of the request: it must be known before the 200 goes out.
  const first = await tar.next();
  context.response.writeHead(200, { 'Content-Type': 'application/x-tar' });
  await pipeline(withFirst(first, tar), context.response, { signal: context.signal });
}

async function* withFirst(first: IteratorResult<Buffer>, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  for (let next = first; next.done !== true; next = await rest.next()) yield next.value;
}

function header({ request }: RequestContext, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
