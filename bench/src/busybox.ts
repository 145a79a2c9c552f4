import { execFileSync } from 'node:child_process';
import { busyboxRootfs } from '../../e2e/lib/base-image.ts';
import type { Engine } from './engine.ts';

/** Gives an engine the image `busybox:latest`. */
export function importBusybox({ dockerHost }: Engine): void {
  execFileSync('docker', ['import', '-', 'busybox:latest'], {
    env: { ...process.env, DOCKER_HOST: dockerHost },
    input: busyboxRootfs(),
  });
}
