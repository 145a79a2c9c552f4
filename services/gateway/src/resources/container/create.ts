import { randomBytes, randomInt } from 'node:crypto';
import { isContainerName, randomContainerName } from '@atoll/docker-api';
import { AtollError, hasReason, invalidArgument } from '@atoll/errors';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { NetworkLookup } from '../network/backend.ts';
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
    const resolved = await backend.resolveContent(request.Image, context.signal);
    checkPlatform(query.platform, request.Image, resolved.config);
    const notes = memoryWarnings(request.HostConfig ?? {});
    const references = await referencesOf(request.HostConfig ?? {}, backend, context.signal);
    const besides = placeBeside(references.beside);
    const name = query.name.replace(/^\//, '');
    for (let attempt = 0; ; attempt++) {
      const id = randomBytes(32).toString('hex');
      const spec = createSpec(id, name || randomName(attempt), request, resolved, references);
      markSocketMounts(spec.mounts, backend.socketMounts);
      spec.constraints.push(...besides);
      spec.constraints.push(...placeMounts(spec, backend));
      try {
        const warnings = await backend.create(id, spec, context.signal);
        sendJson(context.response, 201, { Id: id, Warnings: [...notes, ...warnings] });
        return;
      } catch (error) {
        if (attempt + 1 >= ATTEMPTS || !mayTryAgain(error, name === '')) throw error;
      }
    }
  };
}

function randomName(attempt: number): string {
  return randomContainerName(() => randomInt(2 ** 32) / 2 ** 32, attempt);
}

/** Names and ports nobody asked for are tried until some are free. */
function mayTryAgain(error: unknown, nameIsOurs: boolean): boolean {
  if (error instanceof AtollError && error.details['retry'] !== undefined) return true;
  return nameIsOurs && hasReason(error, 'already-exists');
}
