import { execFileSync } from 'node:child_process';
import { busyboxRootfs } from '../../e2e/lib/base-image.ts';
import { type AtollEngine, startAtoll } from './atoll-engine.ts';
import { startDockerd } from './dockerd-engine.ts';
import type { Engine } from './engine.ts';

export interface Pair {
  readonly atoll: AtollEngine;
  readonly dockerd: Engine;
}

/** Brings up both sides with a busybox image, and takes them down after the body. */
export async function withEngines(body: (engines: Pair) => Promise<void>): Promise<void> {
  const atoll = startAtoll(3);
  try {
    const dockerd = await startDockerd();
    try {
      const rootfs = busyboxRootfs();
      for (const engine of [atoll, dockerd]) {
        execFileSync('docker', ['import', '-', 'busybox:latest'], {
          env: { ...process.env, DOCKER_HOST: engine.dockerHost },
          input: rootfs,
        });
      }
      await body({ atoll, dockerd });
    } finally {
      await dockerd.stop();
    }
  } finally {
    await atoll.stop();
  }
}
