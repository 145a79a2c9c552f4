import { hasReason, unavailable } from '@atoll/errors';
import { Counter, type OpenedBackup } from './backup-file.ts';
import { restoreUpload } from './restore-upload.ts';
import type { CopyProgress, VolumeApi } from './volume-api.ts';

export interface RestoreTarget {
  readonly api: VolumeApi;
  /** Of the volume's restore endpoint. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly show: (progress: CopyProgress) => void;
  readonly signal: AbortSignal;
}

interface Standing {
  readonly Done: boolean;
  readonly Offset?: number;
}

/** Makes a volume of a backup. One that is a file goes on when it is cut. Errors: what the cluster says. */
export async function restoreBackup(backup: OpenedBackup, target: RestoreTarget): Promise<void> {
  const { api, path, show, signal } = target;
  if (!backup.isFile) {
    try {
      return await send(backup, {}, 0, target);
    } catch (error) {
      if (!hasReason(error, 'unavailable')) throw error;
      throw unavailable(
        `${(error as Error).message}; nothing is left of it. What comes from a pipe cannot be read again: give -i FILE for a restore that goes on`,
        { cause: error },
      );
    }
  }
  await restoreUpload({
    calls: {
      send: async (id, offset) => {
        const session = { id, ...(offset !== undefined && { offset: String(offset) }) };
        await send(backup, session, offset ?? 0, target);
      },
      stand: async (id) => {
        const { Done, Offset } = await api.json<Standing>({ method: 'GET', path, query: { id }, signal });
        return Done ? 'done' : (Offset ?? 0);
      },
      discard: async (id, life) => {
        (await api.call({ method: 'DELETE', path, query: { id }, signal: life })).resume();
      },
    },
    say: (status) => show({ status }),
    signal,
  });
}

async function send(
  backup: OpenedBackup,
  session: Readonly<Record<string, string>>,
  offset: number,
  { api, path, query, show, signal }: RestoreTarget,
): Promise<void> {
  const file = await backup.from(offset);
  const counter = new Counter((bytes) => show({ status: 'copying', progressDetail: { current: bytes } }));
  counter.bytes = offset;
  file.on('error', (error) => counter.destroy(error));
  try {
    const body = file.pipe(counter);
    await api.json({ method: 'POST', path, query: { ...query, ...session }, body, signal });
  } finally {
    file.destroy();
    counter.destroy();
  }
}
