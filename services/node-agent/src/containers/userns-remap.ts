import { mkdir, readFile, rm } from 'node:fs/promises';
import { AtollError, failedPrecondition, invalidArgument } from '@atoll/errors';
import { unlessMissing } from '../files/missing.ts';
import type { IdMap } from '../runtime/plan.ts';
import type { ShimTools } from '../runtime/shim-tools.ts';

/** An image may use every 16 bit id; "nobody" is 65534. */
const IDS = 65_536;
const LARGEST = 2 ** 31 - 1;
const CHECK_MS = 20_000;

/** Where a host's administrator gives users ranges of ids, subuid(5) and subgid(5). */
export interface IdFiles {
  readonly uids: string;
  readonly gids: string;
}

const ID_FILES: IdFiles = { uids: '/etc/subuid', gids: '/etc/subgid' };

/**
 * The ids of containers in user namespaces, tried on this host; undefined when the option is empty. Throws invalid-argument for an
 * option that names no ids, failed-precondition when the kernel or the file system of `folder` cannot do it.
 */
export async function usableRemap(option: string, tools: ShimTools, folder: string): Promise<IdMap | undefined> {
  if (option === '') return undefined;
  const ids = await remapOf(option);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  try {
    await tools.checkUserNamespaces(folder, ids, AbortSignal.timeout(CHECK_MS));
    return ids;
  } catch (error) {
    if (!(error instanceof AtollError)) throw error;
    throw failedPrecondition(
      `ATOLL_USERNS_REMAP "${option}": this host cannot run containers in user namespaces (${error.message}); they need ` +
        "Linux 5.19, idmapped mounts of the data root's file system and a /proc and /sys that nothing hides. Leave the option empty",
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `first id:size`, or a user or `user:group` with ranges. Throws invalid-argument. */
export async function remapOf(option: string, files: IdFiles = ID_FILES): Promise<IdMap> {
  const numbers = /^(\d+):(\d+)$/.exec(option);
  if (numbers) return checkedRange(option, Number(numbers[1]), Number(numbers[2]));
  const [, user = '', group = user] =
    /^([A-Za-z_][A-Za-z0-9_.-]{0,31})(?::([A-Za-z_][A-Za-z0-9_.-]{0,31}))?$/.exec(option) ?? [];
  if (user === '') {
    throw invalidArgument(
      `ATOLL_USERNS_REMAP "${option}" is neither a user, user:group, nor the first id and the number of ids as 100000:65536`,
    );
  }
  return { uid: await firstOf(files.uids, user), gid: await firstOf(files.gids, group), size: IDS };
}

function checkedRange(option: string, first: number, size: number): IdMap {
  if (first >= IDS && size >= IDS && first + size <= LARGEST) return { uid: first, gid: first, size };
  throw invalidArgument(
    `ATOLL_USERNS_REMAP "${option}": the first id is at least ${IDS}, above those of users, there are at least ${IDS}, and the ` +
      `last one is below ${LARGEST}`,
  );
}

/** The first of a name's ranges that is large enough. */
async function firstOf(file: string, name: string): Promise<number> {
  const lines = ((await unlessMissing(readFile(file, 'utf8'))) ?? '').split('\n');
  for (const line of lines) {
    const [, owner, first, size] = /^([^:]+):(\d+):(\d+)\s*$/.exec(line) ?? [];
    if (owner === name && Number(size) >= IDS) return checkedRange(line, Number(first), IDS).uid;
  }
  throw invalidArgument(
    `ATOLL_USERNS_REMAP: ${file} gives "${name}" no range of ${IDS} ids: add a line such as ${name}:100000:${IDS}`,
  );
}
