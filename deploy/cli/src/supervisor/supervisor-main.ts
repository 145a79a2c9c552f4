import { writeFile } from 'node:fs/promises';
import { notFound } from '@atoll/errors';
import { ClusterPaths } from '../cluster/cluster-paths.ts';
import { loadSettings } from '../cluster/cluster-settings.ts';
import { ControlServer } from './control-server.ts';
import { Supervisor } from './supervisor.ts';

/** What containers get to end by themselves when the supervisor is told to end by a signal. */
const GRACE_MS = 10_000;

// Started by `atoll up` with the cluster's name and data root. It imports little on purpose: it stays in memory.
async function main(name: string, dataRoot: string): Promise<void> {
  await protectFromOutOfMemory();
  const paths = new ClusterPaths({ name, dataRoot });
  const settings = await loadSettings(paths);
  if (!settings) throw notFound(`${paths.settingsFile} is missing: start the cluster with atoll up`);
  const supervisor = await Supervisor.create(paths, settings);
  let ending = false;
  const end = (grace: number, code: number): void => {
    if (ending) return;
    ending = true;
    supervisor.stop(grace).then(
      () => process.exit(code),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => end(GRACE_MS, 0));
  process.on('SIGINT', () => end(GRACE_MS, 0));
  process.on('SIGHUP', () => undefined);
  await new ControlServer(supervisor, { stop: (grace) => end(grace, 0) }).listen(paths.controlSocket);
  try {
    await supervisor.start();
  } catch (error) {
    console.error(error);
    end(1000, 1);
  }
}

/**
 * The services, which inherit it, are never the first that a host without memory kills; containers start from zero. Refused without
 * CAP_SYS_RESOURCE: then the kernel chooses by size alone.
 */
async function protectFromOutOfMemory(): Promise<void> {
  await writeFile('/proc/self/oom_score_adj', '-500').catch(() => undefined);
}

main(process.argv[2] ?? '', process.argv[3] ?? '').catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
