import { pipeline } from 'node:stream/promises';
import { encodePathStat, formatRfc3339Nano } from '@atoll/docker-api';
import { invalidArgument } from '@atoll/errors';
import type { runtimeV1 } from '@atoll/proto';
import { z } from 'zod';
import { parseQuery, queryFlag, queryText } from '../../routing/query.ts';
import { sendEmpty } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerArchive, ContainerLookup, ContainerNews } from './backend.ts';

type Backend = ContainerLookup & ContainerArchive & ContainerNews;

const PATH_QUERY = z.object({ path: queryText() });
const STAT_HEADER = 'X-Docker-Container-Path-Stat';

function pathOf(query: URLSearchParams): string {
  const { path } = parseQuery(query, PATH_QUERY);
  if (path === '') throw invalidArgument('bad parameter: path cannot be empty');
  return path;
}

function encode(stat: runtimeV1.PathStat): string {
  return encodePathStat({
    name: stat.name,
    size: Number(stat.size),
    mode: stat.mode,
    mtime: formatRfc3339Nano(stat.mtimeNs),
    linkTarget: stat.linkTarget,
  });
}

/** HEAD /containers/{id}/archive */
export function statArchive(backend: Backend): Handler {
  return async ({ params, query, response, signal }) => {
    const path = pathOf(query);
    const stat = await backend.statPath(backend.find(params['id'] ?? ''), path, signal);
    response.setHeader(STAT_HEADER, encode(stat));
    sendEmpty(response, 200);
  };
}

/** GET /containers/{id}/archive */
export function getArchive(backend: Backend): Handler {
  return async ({ params, query, response, signal }) => {
    const path = pathOf(query);
    const view = backend.find(params['id'] ?? '');
    const { stat, tar } = await backend.getArchive(view, path, signal);
    backend.tell(view, 'archive-path');
    response.writeHead(200, { 'Content-Type': 'application/x-tar', [STAT_HEADER]: encode(stat) });
    await pipeline(tar, response, { signal });
  };
}

const PUT_QUERY = z.object({ path: queryText(), noOverwriteDirNonDir: queryFlag(), copyUIDGID: queryFlag() });

/** PUT /containers/{id}/archive */
export function putArchive(backend: Backend): Handler {
  return async ({ params, query, request, response, signal }) => {
    const path = pathOf(query);
    const { noOverwriteDirNonDir, copyUIDGID } = parseQuery(query, PUT_QUERY);
    const view = backend.find(params['id'] ?? '');
    const options = { path, noOverwriteDirNonDir, copyUidGid: copyUIDGID };
    await backend.putArchive(view, options, request as AsyncIterable<Buffer>, signal);
    backend.tell(view, 'extract-to-dir');
    sendEmpty(response, 200);
  };
}

/** GET /containers/{id}/export: the whole root as a tar, without volumes and other mounts. */
export function exportContainer(backend: Backend): Handler {
  return async ({ params, response, signal }) => {
    const view = backend.find(params['id'] ?? '');
    const tar = await backend.exportRoot(view, signal);
    response.writeHead(200, { 'Content-Type': 'application/x-tar' });
    await pipeline(tar, response, { signal });
    backend.tell(view, 'export');
  };
}
