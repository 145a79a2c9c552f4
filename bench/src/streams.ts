import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { quantile } from './statistics.ts';

const MEBIBYTES = 128;
const ROUNDS = 5;
/** Lines of 64 bytes: what logs are made of. */
const PRINT = `yes 0123456789012345678901234567890123456789012345678901234567890123 | head -c ${MEBIBYTES * 2 ** 20}`;

/** MiB/s of one container's output: to an attached client while it runs, and read again from its log. */
export async function measureStreams({ atoll, dockerd }: Pair): Promise<void> {
  const sides = [atoll, dockerd].map((engine) => ({ engine, attach: [] as number[], logs: [] as number[] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { engine, attach, logs } of sides) {
      const name = `streams${round}`;
      attach.push(await rate(engine, 'run', '--name', name, '--network', 'none', 'busybox', 'sh', '-c', PRINT));
      logs.push(await rate(engine, 'logs', name));
      await rate(engine, 'rm', name);
    }
  }
  for (const kind of ['attach', 'logs'] as const) {
    const [ours = 0, theirs = 0] = sides.map((side) => quantile(side[kind], 0.5));
    console.log(
      `${kind} of ${MEBIBYTES} MiB: atoll ${ours.toFixed(0)} MiB/s, dockerd ${theirs.toFixed(0)} MiB/s, ratio ${(ours / theirs).toFixed(2)} (goal 1)`,
    );
  }
}

async function rate(engine: Engine, ...args: string[]): Promise<number> {
  const start = performance.now();
  const child = spawn('docker', args, {
    env: { ...process.env, DOCKER_HOST: engine.dockerHost },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`docker ${args[0]} on ${engine.name} ended with ${code}`);
  return bytes / 2 ** 20 / ((performance.now() - start) / 1000);
}
