import { type AtollEngine, startAtoll } from './atoll-engine.ts';
import { importBusybox } from './busybox.ts';
import { type DockerdEngine, startDockerd } from './dockerd-engine.ts';

export interface Pair {
  readonly atoll: AtollEngine;
  readonly dockerd: DockerdEngine;
}

/** Brings up both sides with a busybox image, and takes them down after the body. */
export async function withEngines(body: (engines: Pair) => Promise<void>): Promise<void> {
  const atoll = startAtoll(3);
  try {
    const dockerd = await startDockerd();
    try {
      importBusybox(atoll);
      importBusybox(dockerd);
      await body({ atoll, dockerd });
    } finally {
      await dockerd.stop();
    }
  } finally {
    await atoll.stop();
  }
}
