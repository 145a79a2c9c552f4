import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { type Pair, withEngines } from './engines.ts';
import { measureList } from './list.ts';
import { measureMemory } from './memory.ts';
import { measureNeighbours } from './neighbours.ts';
import { measureNetworks } from './networks.ts';
import { measureParallel } from './parallel.ts';
import { measurePlacement } from './placement.ts';
import { measureStart } from './start.ts';
import { measureStreams } from './streams.ts';
import { measureTrace } from './trace.ts';
import { measureUnpack } from './unpack.ts';

/** Measurements on a three-host cluster and the dockerd beside it. */
const SIDE_BY_SIDE: Readonly<Record<string, (engines: Pair, rounds: number) => Promise<void>>> = {
  start: measureStart,
  streams: measureStreams,
  parallel: measureParallel,
  networks: measureNetworks,
  // Last, for it leaves a dockerd with 50 containers behind.
  list: measureList,
};
const ALONE: Readonly<Record<string, (rounds: number) => Promise<void>>> = {
  trace: measureTrace,
  unpack: measureUnpack,
  memory: measureMemory,
  placement: measurePlacement,
  neighbours: measureNeighbours,
};

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '15' } },
});
const known = [...Object.keys(SIDE_BY_SIDE), ...Object.keys(ALONE)];
const unknown = positionals.filter((part) => !known.includes(part));
if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}: there are ${known.join(', ')}`);
const rounds = Number(values.rounds);
const wanted = (part: string): boolean => positionals.length === 0 || positionals.includes(part);

console.log(`load before: ${loadavg()[0]?.toFixed(1)}; ${rounds} rounds`);
const pairs = Object.entries(SIDE_BY_SIDE).filter(([part]) => wanted(part));
if (pairs.length > 0) {
  await withEngines(async (engines) => {
    for (const [part, measure] of pairs) {
      console.log(`\n## ${part}\n`);
      await measure(engines, rounds);
    }
  });
}
for (const [part, measure] of Object.entries(ALONE)) {
  if (!wanted(part)) continue;
  console.log(`\n## ${part}\n`);
  await measure(rounds);
}
