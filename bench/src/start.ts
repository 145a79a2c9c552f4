import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { mean, quantile, type Sample } from './statistics.ts';

/** Daemons that have been up for a while, on both sides. */
const WARM_UP = 30;
/** What an engine leaves for after its answer is counted to the operation that caused it. */
const AFTER_MS = 200;

/** Every operation alternately on both sides, A B A B; one table row each. */
export async function measureStart({ atoll, dockerd }: Pair, rounds: number): Promise<void> {
  console.log('ms: min / median / p90; CPU in ms per operation (mean)\n');
  console.log('| operation | atoll | CPU | dockerd | CPU | time ratio (goal) | CPU ratio (goal) |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const operation of OPERATIONS) {
    const [a, b] = await compare(operation, [atoll, dockerd], rounds);
    console.log(row(operation, a ?? [], b ?? []));
  }
}

async function compare(operation: Operation, engines: readonly Engine[], rounds: number): Promise<Sample[][]> {
  const sides = [];
  for (const engine of engines) sides.push({ engine, ...(await operation.prepare(engine)), samples: [] as Sample[] });
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const side of sides) {
      const cpu = side.engine.cpu();
      const start = performance.now();
      await side.once();
      const time = performance.now() - start;
      await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
      if (round >= 0) side.samples.push({ time, cpu: (side.engine.cpu() - cpu) / 1e6 });
    }
  }
  for (const side of sides) await side.end();
  return sides.map((side) => side.samples);
}

function row({ name, goal }: Operation, a: readonly Sample[], b: readonly Sample[]): string {
  const times = (samples: readonly Sample[]) => samples.map((sample) => sample.time);
  const cpu = (samples: readonly Sample[]) => mean(samples.map((sample) => sample.cpu));
  const show = (samples: readonly Sample[]) =>
    [0, 0.5, 0.9].map((q) => quantile(times(samples), q).toFixed(1)).join(' / ');
  const cells = [
    name,
    show(a),
    cpu(a).toFixed(0),
    show(b),
    cpu(b).toFixed(0),
    `${(quantile(times(a), 0.5) / quantile(times(b), 0.5)).toFixed(2)} (${goal.time})`,
    `${(cpu(a) / cpu(b)).toFixed(2)}${goal.cpu === undefined ? '' : ` (${goal.cpu})`}`,
  ];
  return `| ${cells.join(' | ')} |`;
}
