import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { OPERATIONS, type Operation } from './operations.ts';
import { mean, quantile, type Sample } from './statistics.ts';
import { warmUp } from './warm-up.ts';

/** What an engine leaves for after its answer is counted to the operation that caused it. */
const AFTER_MS = 200;

/** Every operation alternately on both sides, A B A B; one table row each. */
export async function measureStart({ atoll, dockerd }: Pair, rounds: number): Promise<void> {
  console.log('ms: min / median / p90 (the first of all); CPU in ms per operation (mean)\n');
  console.log('| operation | atoll | CPU | dockerd | CPU | time ratio (goal) | CPU ratio (goal) |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const operation of OPERATIONS) console.log(row(operation, await compare(operation, atoll, dockerd, rounds)));
}

interface Side {
  readonly engine: Engine;
  readonly first: number;
  readonly samples: Sample[];
}

async function compare(
  operation: Operation,
  atoll: Engine,
  dockerd: Engine,
  rounds: number,
): Promise<{ readonly ours: Side; readonly theirs: Side }> {
  const prepare = async (engine: Engine) => {
    const { once, end } = await operation.prepare(engine);
    return { engine, once, end, first: await warmUp(once), samples: [] as Sample[] };
  };
  const [ours, theirs] = [await prepare(atoll), await prepare(dockerd)];
  for (let round = 0; round < rounds; round++) {
    for (const { engine, once, samples } of [ours, theirs]) {
      const cpu = engine.cpu();
      const start = performance.now();
      await once();
      const time = performance.now() - start;
      await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
      samples.push({ time, cpu: (engine.cpu() - cpu) / 1e6 });
    }
  }
  await ours.end();
  await theirs.end();
  return { ours, theirs };
}

function row({ name, goal }: Operation, { ours, theirs }: { readonly ours: Side; readonly theirs: Side }): string {
  const time = ({ samples }: Side, q: number) =>
    quantile(
      samples.map((sample) => sample.time),
      q,
    );
  const cpu = ({ samples }: Side) => mean(samples.map((sample) => sample.cpu));
  const show = (side: Side) =>
    `${[0, 0.5, 0.9].map((q) => time(side, q).toFixed(1)).join(' / ')} (${side.first.toFixed(0)})`;
  const cells = [
    name,
    show(ours),
    cpu(ours).toFixed(0),
    show(theirs),
    cpu(theirs).toFixed(0),
    `${(time(ours, 0.5) / time(theirs, 0.5)).toFixed(3)} (${goal.time})`,
    `${(cpu(ours) / cpu(theirs)).toFixed(3)}${goal.cpu === undefined ? '' : ` (${goal.cpu})`}`,
  ];
  return `| ${cells.join(' | ')} |`;
}
