import { pipeline } from 'node:stream/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import type { JsonMessage } from '@atoll/docker-api';
import { hasReason, invalidArgument } from '@atoll/errors';
import type { volumeV1 } from '@atoll/proto';
import { z } from 'zod';
import { parseQuery, queryInteger, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import { streamMessages } from '../image/progress-stream.ts';
import type { VolumeBackend } from './backend.ts';
import { type KnownArchive, VOLUME_ACCESS, type VolumeCopies } from './copy-backend.ts';
import { volumeObject } from './volume-view.ts';

const MAX_SECONDS = 86_400;
const MAX_TOGETHER = 1_000;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/;

const seconds = queryInteger().refine((value) => value === undefined || (value >= 0 && value <= MAX_SECONDS), {
  message: `want seconds from 0 to ${MAX_SECONDS}`,
});
const BACKUP = z.object({
  access: z.enum(VOLUME_ACCESS).default('pause'),
  compress: z.enum(['none', 'gzip', 'zstd']).default('none'),
  timeout: seconds,
  /** Bytes that the client has already of an archive made at `created`, and their digest. */
  skip: queryInteger(),
  sha256: queryText(),
  created: queryText(),
});
const COMPRESSORS = { gzip: () => createGzip({ level: 1 }), zstd: () => createZstdCompress() } as const;

/** GET /atoll/volumes/{volume}/backup: the archive. A failure before its first byte is an ordinary error, a later one cuts the connection. */
export function backupVolume(backend: VolumeCopies): Handler {
  return async ({ params, query, response, signal }) => {
    const asked = parseQuery(query, BACKUP);
    const { access, compress, timeout } = asked;
    const known = knownOf(asked);
    const archive = backend.backupVolume(params['volume'] ?? '', { access, timeoutSeconds: timeout, known }, signal);
    let bytes: AsyncIterable<Buffer>;
    try {
      bytes = await begun(archive, known !== undefined);
    } catch (error) {
      if (!hasReason(error, 'out-of-range')) throw error;
      return sendJson(response, 416, { message: (error as Error).message });
    }
    response.writeHead(200, { 'Content-Type': compress === 'none' ? 'application/x-tar' : `application/${compress}` });
    if (compress === 'none') await pipeline(bytes, response, { signal });
    else await pipeline(bytes, COMPRESSORS[compress](), response, { signal });
  };
}

/** Errors: invalid-argument naming the parameter. */
function knownOf({ skip, sha256, created, compress }: z.output<typeof BACKUP>): KnownArchive | undefined {
  if (skip === undefined || skip === 0) return undefined;
  if (skip < 0) throw invalidArgument('skip: want bytes');
  if (compress !== 'none')
    throw invalidArgument('compress: only an archive that is not compressed can be gone on with');
  if (!/^[0-9a-f]{64}$/.test(sha256))
    throw invalidArgument('sha256: want the digest of the bytes to skip, 64 hex digits');
  if (Number.isNaN(Date.parse(created)))
    throw invalidArgument('created: want the time of the archive, as its manifest has it');
  return { created, bytes: skip, sha256 };
}

const newName = z.string().regex(NAME, 'want at least two of "[a-zA-Z0-9_.-]", beginning with a letter or digit');
const CLONE = z.strictObject({
  Name: newName,
  Live: z.boolean().default(false),
  Labels: z.record(z.string(), z.string()).default({}),
});

/** POST /atoll/volumes/{volume}/clone */
export function cloneVolume(backend: VolumeBackend & VolumeCopies): Handler {
  return async (context) => {
    const { Name, Live, Labels } = await readJson(context, CLONE);
    const name = context.params['volume'] ?? '';
    const progress = backend.cloneVolume(name, { newName: Name, live: Live, labels: Labels }, context.signal);
    await streamMessages(context.response, messages(backend, progress), context.signal);
  };
}

const MOVE = z.strictObject({
  /** Empty: the scheduler chooses. */
  Host: z.string().default(''),
  Recreate: z.boolean().default(false),
  Timeout: z.int().min(0).max(MAX_SECONDS).optional(),
  /** Other volumes of the same host. */
  With: z.array(z.string().regex(NAME, 'want the name of a volume')).max(MAX_TOGETHER).default([]),
});

/** POST /atoll/volumes/{volume}/move */
export function moveVolume(backend: VolumeBackend & VolumeCopies): Handler {
  return async (context) => {
    const { Host, Recreate, Timeout, With } = await readJson(context, MOVE);
    const options = { host: Host, recreate: Recreate, timeoutSeconds: Timeout, others: With };
    const progress = backend.moveVolume(context.params['volume'] ?? '', options, context.signal);
    await streamMessages(context.response, messages(backend, progress), context.signal);
  };
}

async function* messages(
  backend: VolumeBackend,
  progress: AsyncIterable<volumeV1.VolumeProgress>,
): AsyncGenerator<JsonMessage> {
  for await (const { phase, bytes, volume, name } of progress) {
    yield {
      status: phase,
      ...(name !== '' && { id: name }),
      ...(bytes > 0n && { progressDetail: { current: Number(bytes) } }),
      ...(volume && { aux: volumeObject(backend, { record: volume, users: [] }) }),
    };
  }
}

/** The same bytes, once there is a first one: what fails before is not half an answer. */
async function begun(source: AsyncIterable<Buffer>, mayBeEmpty: boolean): Promise<AsyncIterable<Buffer>> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done && !mayBeEmpty) throw invalidArgument('the host sent no archive');
  return (async function* () {
    try {
      for (let next: IteratorResult<Buffer> = first; !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.();
    }
  })();
}
