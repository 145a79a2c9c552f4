import { randomBytes, randomInt } from 'node:crypto';
import { isContainerName, randomContainerName } from '@atoll/docker-api';
import { AtollError, hasReason, invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ResolvedImage } from '../image/resolved-image.ts';
import type { NetworkLookup } from '../network/backend.ts';
import { ahead } from './ahead.ts';
import type { ContainerImages, ContainerLifecycle, ContainerLookup, SocketMounts, VolumeHomes } from './backend.ts';
import { placeBeside, referencesOf } from './create-references.ts';
import { CREATE_REQUEST } from './create-request.ts';
import { createSpec } from './create-spec.ts';
import { memoryWarnings } from './memory-warnings.ts';
import { placeMounts } from './place-mounts.ts';
import { checkPlatform } from './platform.ts';
import { markSocketMounts } from './socket-mounts.ts';

const QUERY = z.object({ name: queryText(), platform: queryText() });
const ATTEMPTS = 8;
const UNDO_MS = 30_000;

interface Wish {
  /** As it was named. */
  readonly image: string;
  /** Empty: none was asked for. */
  readonly name: string;
  readonly platform: string;
  readonly request: z.output<typeof CREATE_REQUEST>;
}

type Backend = ContainerLookup &
  ContainerLifecycle &
  ContainerImages &
  VolumeHomes &
  SocketMounts &
  Pick<NetworkLookup, 'findNetwork'>;

/** POST /containers/create */
export function createContainer(backend: Backend): Handler {
  return async (context) => {
    const query = parseQuery(context.query, QUERY);
    if (query.name !== '' && !isContainerName(query.name)) {
      throw invalidArgument(`Invalid container name (${query.name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
    }
    const request = await readJson(context, CREATE_REQUEST);
    if (request.Image === undefined || request.Image === '') {
      throw invalidArgument('invalid value for Image: a container needs an image');
    }
    const wish = { image: request.Image, name: query.name.replace(/^\//, ''), platform: query.platform, request };
    const create = (image: ResolvedImage): Promise<Created> => createFrom(backend, image, wish, context.signal);
    const certain = backend.resolveContent(wish.image, context.signal);
    const likely = backend.likelyContent(wish.image);
    const created = likely
      ? await ahead({ likely, certain, create, undo: ({ id }) => removeAgain(backend, id) })
      : await create(await certain);
    sendJson(context.response, 201, { Id: created.id, Warnings: created.warnings });
  };
}

interface Created {
  readonly id: string;
  readonly warnings: readonly string[];
}

async function createFrom(
  backend: Backend,
  resolved: ResolvedImage,
  { image, name, platform, request }: Wish,
  signal: AbortSignal,
): Promise<Created> {
  checkPlatform(platform, image, resolved.config);
  const notes = memoryWarnings(request.HostConfig ?? {});
  const references = await referencesOf(request.HostConfig ?? {}, backend, signal);
  const besides = placeBeside(references.beside);
  for (let attempt = 0; ; attempt++) {
    const id = randomBytes(32).toString('hex');
    const spec = createSpec(id, name || randomName(attempt), request, resolved, references);
    markSocketMounts(spec.mounts, backend.socketMounts);
    spec.constraints.push(...besides);
    spec.constraints.push(...placeMounts(spec, backend));
    try {
      const warnings = await backend.create(id, spec, signal);
      return { id, warnings: [...notes, ...warnings] };
    } catch (error) {
      if (attempt + 1 >= ATTEMPTS || !mayTryAgain(error, name === '')) throw error;
    }
  }
}

async function removeAgain(backend: Backend, id: string): Promise<void> {
  await backend.remove(backend.find(id), { force: true, volumes: true }, AbortSignal.timeout(UNDO_MS));
}

function randomName(attempt: number): string {
  return randomContainerName(() => randomInt(2 ** 32) / 2 ** 32, attempt);
}

/** Names and ports nobody asked for are tried until some are free. */
function mayTryAgain(error: unknown, nameIsOurs: boolean): boolean {
  if (error instanceof AtollError && error.details['retry'] !== undefined) return true;
  return nameIsOurs && hasReason(error, 'already-exists');
}
