import { failedPrecondition } from '@atoll/errors';
import { type Job, moveVolume } from '../commands/volume.ts';

interface ListedVolume {
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>> | null;
}

/**
 * Moves all volumes of a host to others, one after the other, or together when they have a container in common. Errors:
 * failed-precondition that names those which stay and why; the rest has moved then.
 */
export async function drainVolumes(job: Job, hostname: string, recreate: boolean): Promise<void> {
  const { Volumes } = await job.api.json<{ Volumes: ListedVolume[] | null }>({
    method: 'GET',
    path: '/volumes',
    signal: job.signal,
  });
  const here = (Volumes ?? []).filter(({ Labels }) => Labels?.['atoll.node'] === hostname);
  const stayed: string[] = [];
  const gone = new Set<string>();
  for (const { Name: name } of here) {
    if (gone.has(name)) continue;
    try {
      for (const moved of await moveVolume(job, name, { node: '', recreate })) {
        gone.add(moved);
        process.stdout.write(`${moved}\n`);
      }
    } catch (error) {
      job.signal.throwIfAborted();
      stayed.push(`  ${name}: ${(error as Error).message}`);
    }
  }
  if (stayed.length === 0) return;
  throw failedPrecondition(`${stayed.length} of ${here.length} volumes stay on ${hostname}:\n${stayed.join('\n')}`);
}
