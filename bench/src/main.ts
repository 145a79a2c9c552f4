import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { busyboxRootfs } from '../../e2e/lib/base-image.ts';
import { startAtoll } from './atoll-engine.ts';
import { startDockerd } from './dockerd-engine.ts';
import type { Engine } from './engine.ts';
import { measureMemory } from './memory.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { mean, quantile, type Sample } from './statistics.ts';

/** Rounds of A B A B; each sample is one operation. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 15);
const WARM_UP = 3;

/** Runs every operation alternately on both sides and prints one table row each. */
async function main(): Promise<void> {
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
      console.log(
        `load ${loadavg()[0]?.toFixed(1)}, ${ROUNDS} rounds; ms: min / median / p90, CPU per operation (mean)\n`,
      );
      console.log('| operation | atoll | CPU | dockerd | CPU | time ratio (goal) | CPU ratio (goal) |');
      console.log('| --- | --- | --- | --- | --- | --- | --- |');
      for (const operation of OPERATIONS) console.log(row(operation, ...(await compare(operation, atoll, dockerd))));
    } finally {
      await dockerd.stop();
    }
  } finally {
    await atoll.stop();
  }
  console.log(`\n${await measureMemory()}`);
}

async function compare(operation: Operation, a: Engine, b: Engine): Promise<[Sample[], Sample[]]> {
  const sides = [];
  for (const engine of [a, b]) sides.push({ engine, ...(await operation.prepare(engine)), samples: [] as Sample[] });
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    for (const side of sides) {
      const cpu = side.engine.cpu();
      const start = performance.now();
      await side.once();
      const time = performance.now() - start;
      // What an engine leaves for after its answer is counted to the operation that caused it.
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (round >= 0) side.samples.push({ time, cpu: (side.engine.cpu() - cpu) / 1e6 });
    }
  }
  for (const side of sides) await side.end();
  return sides.map((side) => side.samples) as [Sample[], Sample[]];
}

function row(operation: Operation, a: readonly Sample[], b: readonly Sample[]): string {
  const times = (samples: readonly Sample[]) => samples.map((sample) => sample.time);
  const cpu = (samples: readonly Sample[]) => mean(samples.map((sample) => sample.cpu));
  const show = (samples: readonly Sample[]) =>
    [0, 0.5, 0.9].map((q) => quantile(times(samples), q).toFixed(1)).join(' / ');
  const timeRatio = quantile(times(a), 0.5) / quantile(times(b), 0.5);
  const { goal } = operation;
  const cells = [
    operation.name,
    show(a),
    cpu(a).toFixed(0),
    show(b),
    cpu(b).toFixed(0),
    `${timeRatio.toFixed(2)} (${goal.time})`,
    `${(cpu(a) / cpu(b)).toFixed(2)}${goal.cpu === undefined ? '' : ` (${goal.cpu})`}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

await main();
