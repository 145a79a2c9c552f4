import { hasReason, invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryFlag, queryInteger, queryText } from '../../routing/query.ts';
import { sendEmpty, sendJson } from '../../routing/reply.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { VolumeBackend } from './backend.ts';
import type { RestoreSession, VolumeCopies } from './copy-backend.ts';
import { volumeObject } from './volume-view.ts';

const SESSION_ID = /^[0-9a-f]{32}$/;
const sessionId = z.string().regex(SESSION_ID, 'want 32 hex digits');
const RESTORE = z.object({
  host: queryText(),
  force: queryFlag(),
  /** Chosen by the client, so that another request can go on with what was cut. */
  id: z.union([z.literal(''), sessionId]).default(''),
  /** Bytes that are there: the body is what follows them. */
  offset: queryInteger(),
});
const SESSION = z.object({ id: sessionId });

/** POST /atoll/volumes/{volume}/restore: the body is such an archive, plain or compressed by gzip or zstd, or what is left of it. */
export function restoreVolume(backend: VolumeBackend & VolumeCopies): Handler {
  return async ({ params, query, request, response, signal }) => {
    const { host, force, id, offset } = parseQuery(query, RESTORE);
    const session = sessionOf(id, offset);
    const archive = request as AsyncIterable<Buffer>;
    try {
      const restored = await backend.restoreVolume(params['volume'] ?? '', { host, force, session }, archive, signal);
      const volume = volumeObject(backend, { record: restored.volume, users: [] });
      const { sha256, bytes } = restored.archive ?? {};
      sendJson(response, 201, { Volume: volume, Sha256: sha256, ArchiveBytes: bytes });
    } catch (error) {
      if (!hasReason(error, 'out-of-range')) throw error;
      sendJson(response, 416, { message: (error as Error).message });
    }
  };
}

/** GET /atoll/volumes/{volume}/restore?id=: how far it has come. It takes nothing more from the request that brought that. */
export function suspendRestore(backend: VolumeCopies): Handler {
  return async ({ params, query, response, signal }) => {
    const { id } = parseQuery(query, SESSION);
    const offset = await backend.suspendRestore(params['volume'] ?? '', id, signal);
    sendJson(response, 200, offset === undefined ? { Done: true } : { Done: false, Offset: offset });
  };
}

/** DELETE /atoll/volumes/{volume}/restore?id=: nothing is left of it, and the name is free. */
export function discardRestore(backend: VolumeCopies): Handler {
  return async ({ params, query, response, signal }) => {
    const { id } = parseQuery(query, SESSION);
    await backend.discardRestore(params['volume'] ?? '', id, signal);
    sendEmpty(response, 204);
  };
}

/** Errors: invalid-argument naming the parameter. */
function sessionOf(id: string, offset: number | undefined): RestoreSession | undefined {
  if (offset !== undefined && offset < 0) throw invalidArgument('offset: want bytes');
  if (offset !== undefined && id === '') throw invalidArgument('id: want that of the restore to go on with');
  return id === '' ? undefined : { id, offset };
}
