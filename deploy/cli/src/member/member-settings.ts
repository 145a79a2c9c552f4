import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '@atoll/identity';
import type { ClusterPaths } from '../cluster/cluster-paths.ts';
import type { SELinuxUse } from '../cluster/cluster-settings.ts';

/** What this machine remembers of the cluster it joined. */
export interface MemberSettings {
  readonly hostname: string;
  readonly schedulers: readonly string[];
  readonly registry: string;
  /** Address other machines reach this one at. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Name -> path of OCI runtimes beside the native one. */
  readonly runtimes?: Readonly<Record<string, string>>;
  /** As `ATOLL_USERNS_REMAP`. */
  readonly usernsRemap?: string;
  /** As `ATOLL_SELINUX`. */
  readonly selinux?: SELinuxUse;
}

const file = (paths: ClusterPaths): string => join(paths.dataRoot, 'member.json');

/** Undefined when this machine has not joined with this data root. */
export async function loadMember(paths: ClusterPaths): Promise<MemberSettings | undefined> {
  const text = await readFile(file(paths), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as MemberSettings);
}

export async function saveMember(paths: ClusterPaths, settings: MemberSettings): Promise<void> {
  await mkdir(paths.dataRoot, { recursive: true, mode: 0o711 });
  await writeFileDurably(file(paths), `${JSON.stringify(settings, null, 2)}\n`, 0o600);
}
