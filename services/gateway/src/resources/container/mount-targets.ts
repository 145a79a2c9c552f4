import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { invalidArgument } from '@atoll/errors';
import { containerV1 } from '@atoll/proto';

export const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** A cleaned absolute path inside a container, not its root. @throws invalid-argument in docker's words */
export function destination(path: string): string {
  if (!path.startsWith('/')) throw invalidArgument(`invalid mount path: '${path}' mount path must be absolute`);
  const clean = posix.normalize(path).replace(/(.)\/$/, '$1');
  if (clean === '/') throw invalidArgument(`invalid specification: destination can't be '/'`);
  return clean;
}

/** A volume for one container only. */
export function anonymousVolume(target: string): containerV1.Mount {
  const source = randomBytes(32).toString('hex');
  return containerV1.Mount.fromPartial({ type: 'volume', source, target, anonymous: true });
}
