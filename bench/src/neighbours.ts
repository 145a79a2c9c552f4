import { execFileSync } from 'node:child_process';
import { busyboxRootfs } from '../../e2e/lib/base-image.ts';
import { startAtoll } from './atoll-engine.ts';
import { quantile } from './statistics.ts';

const SAMPLES = 100;

/** What a container does to its neighbours that has limits and makes the most of them: E43 of the list of checks. */
const STORMS: Readonly<Record<string, readonly string[]>> = {
  'fork bomb': ['--pids-limit', '200', '--cpus', '0.5', 'busybox', 'sh', '-c', 'f() { f | f & }; f; sleep 600'],
  'memory bomb, restarted': ['-m', '32m', '--cpus', '0.5', '--restart', 'always', 'busybox', 'tail', '/dev/zero'],
  'synced writes': [
    ...['--cpus', '0.5', 'busybox', 'sh', '-c'],
    'while :; do dd if=/dev/zero of=/f bs=4k count=200 conv=fsync 2>/dev/null; done',
  ],
};

/** Time of an exec in a container: alone on its host, and beside each storm. */
export async function measureNeighbours(): Promise<void> {
  const engine = startAtoll(1);
  const env = { ...process.env, DOCKER_HOST: engine.dockerHost };
  const docker = (...args: readonly string[]): string =>
    execFileSync('docker', args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  const sample = (id: string): { p50: number; p99: number } => {
    const times = Array.from({ length: SAMPLES }, () => {
      const start = performance.now();
      docker('exec', id, 'true');
      return performance.now() - start;
    });
    return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
  };
  try {
    execFileSync('docker', ['import', '-', 'busybox:latest'], {
      env,
      input: busyboxRootfs(),
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const neighbour = docker('run', '-d', 'busybox', 'sleep', '3600');
    sample(neighbour);
    for (const [name, args] of Object.entries(STORMS)) {
      const alone = sample(neighbour);
      const storm = docker('run', '-d', ...args);
      const beside = sample(neighbour);
      docker('rm', '-f', storm);
      console.log(
        `${name}: exec beside it p50 ${beside.p50.toFixed(0)} ms, p99 ${beside.p99.toFixed(0)} ms; alone ${alone.p50.toFixed(0)}, ${alone.p99.toFixed(0)}; ratio of p99 ${(beside.p99 / alone.p99).toFixed(2)} (goal 2)`,
      );
    }
  } finally {
    await engine.stop();
  }
}
