import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { invalidArgument } from '@atoll/errors';
import type { containerV1 } from '@atoll/proto';

/** The one that is built in. */
export const NATIVE_RUNTIME = 'native';

/** Paths of the other OCI runtimes of this host, by name. */
export type Runtimes = ReadonlyMap<string, string>;

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** Throws invalid-argument for a name that is none or taken, and for a path that is no program. */
export async function checkedRuntimes(given: Readonly<Record<string, string>>): Promise<Runtimes> {
  for (const [name, path] of Object.entries(given)) {
    const wrong = (why: string): Error => invalidArgument(`ATOLL_RUNTIMES: runtime "${name}": ${why}`);
    if (!NAME.test(name)) throw wrong('its name must be letters, digits, "_", "." and "-", at most 64');
    if (name === NATIVE_RUNTIME) throw wrong('this is the name of the one that is built in');
    if (!path.startsWith('/')) throw wrong(`"${path}" is not an absolute path`);
    await access(path, constants.X_OK).catch(() => {
      throw wrong(`"${path}" is not a program that can be run`);
    });
  }
  return new Map(Object.entries(given));
}

export function isNative({ runtime }: Pick<containerV1.ContainerSpec, 'runtime'>): boolean {
  return runtime === '' || runtime === NATIVE_RUNTIME;
}

/** The path of the runtime a container asks for, undefined for the native one. Throws invalid-argument in docker's words. */
export function runtimePath(spec: Pick<containerV1.ContainerSpec, 'runtime'>, runtimes: Runtimes): string | undefined {
  if (isNative(spec)) return undefined;
  const path = runtimes.get(spec.runtime);
  if (path === undefined) throw invalidArgument(`unknown or invalid runtime name: ${spec.runtime}`);
  return path;
}
