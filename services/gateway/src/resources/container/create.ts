import { randomBytes, randomInt } from 'node:crypto';
import { isContainerName, randomContainerName } from '@atoll/docker-api';
import { hasReason, invalidArgument, notFound } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';
import { z } from 'zod';
import { parseQuery, queryText } from '../../routing/query.ts';
import { sendJson } from '../../routing/reply.ts';
import { readJson } from '../../routing/request-body.ts';
import type { Handler } from '../../routing/request-context.ts';
import type { ContainerImages, ContainerLifecycle, ContainerLookup } from './backend.ts';
import { CREATE_REQUEST } from './create-request.ts';
import { createSpec } from './create-spec.ts';
import { placeMounts } from './place-mounts.ts';
import { checkPlatform } from './platform.ts';

const QUERY = z.object({ name: queryText(), platform: queryText() });
const NAME_ATTEMPTS = 6;

type Backend = ContainerLookup & ContainerLifecycle & ContainerImages;

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
    const resolved = await backend.resolveImage(request.Image, context.signal);
    checkPlatform(query.platform, request.Image, resolved.config);
    const id = randomBytes(32).toString('hex');
    const spec = createSpec(id, query.name.replace(/^\//, ''), request, resolved);
    spec.constraints.push(...placeMounts(spec, backend));
    const warnings = await createNamed(backend, id, spec, context.signal);
    sendJson(context.response, 201, { Id: id, Warnings: warnings });
  };
}

/** Without a name of the user's, names are tried until one is free. */
async function createNamed(
  backend: Backend,
  id: string,
  spec: containerV1.ContainerSpec,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (spec.name !== '') return await backend.create(id, spec, signal);
  for (let attempt = 0; ; attempt++) {
    const name = randomContainerName(() => randomInt(2 ** 32) / 2 ** 32, attempt);
    try {
      return await backend.create(id, { ...spec, name }, signal);
    } catch (error) {
      if (!hasReason(error, 'already-exists', 'conflict') || attempt + 1 >= NAME_ATTEMPTS) throw error;
    }
  }
}

/** Docker's answer for an image that is not in the store. */
export function noSuchImage(reference: string): Error {
  return notFound(`No such image: ${reference}`);
}
