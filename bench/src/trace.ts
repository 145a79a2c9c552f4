import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAtoll } from './atoll-engine.ts';
import { importBusybox } from './busybox.ts';
import { runContainer } from './container-cycle.ts';
import { DockerClient } from './docker-client.ts';
import { quantile } from './statistics.ts';

const WARM_UP = 30;
const PAUSE_MS = 200;
const BEGIN = 'POST /containers/create received';

/** Where the time of one container goes: the steps that all processes note, as medians since the request to create it. */
export async function measureTrace(rounds: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-trace-'));
  const file = join(folder, 'steps');
  const atoll = startAtoll(1, { ATOLL_TRACE: file });
  try {
    importBusybox(atoll);
    const client = new DockerClient(atoll.dockerHost);
    for (const network of ['none', 'bridge']) {
      for (let round = -WARM_UP; round < rounds; round++) {
        await runContainer(client, network);
        await sleep(PAUSE_MS);
      }
      const cycles = cyclesOf(readFileSync(file, 'utf8')).slice(-rounds);
      console.log(`network ${network}; ms since the request (median of ${cycles.length}), and since the step before\n`);
      for (const line of table(cycles)) console.log(line);
      console.log();
    }
    client.close();
  } finally {
    await atoll.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Step, with its process, to ms since the cycle's begin. */
type Cycle = ReadonlyMap<string, number>;

function cyclesOf(text: string): readonly Cycle[] {
  const steps = text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [ns = '', process = '', ...words] = line.split(' ');
      return { ns: BigInt(ns), step: words.join(' '), process };
    })
    .sort((a, b) => (a.ns < b.ns ? -1 : 1));
  const cycles: Map<string, number>[] = [];
  let begin = 0n;
  for (const { ns, process, step } of steps) {
    if (step === BEGIN) {
      begin = ns;
      cycles.push(new Map());
    }
    const cycle = cycles.at(-1);
    const name = `${process}: ${step}`;
    if (cycle && !cycle.has(name)) cycle.set(name, Number(ns - begin) / 1e6);
  }
  return cycles;
}

function* table(cycles: readonly Cycle[]): Generator<string> {
  const names = new Set(cycles.flatMap((cycle) => [...cycle.keys()]));
  const rows = [...names]
    .map((name) => ({ name, times: cycles.map((cycle) => cycle.get(name)).filter((time) => time !== undefined) }))
    // What happens in some cycles only (a heartbeat, a status that came late) tells nothing about one container.
    .filter(({ times }) => times.length > cycles.length / 2)
    .map(({ name, times }) => ({ name, ms: quantile(times, 0.5) }))
    .sort((a, b) => a.ms - b.ms);
  yield '| step | ms | + |';
  yield '| --- | --- | --- |';
  let last = 0;
  for (const { name, ms } of rows) {
    yield `| ${name} | ${ms.toFixed(1)} | ${(ms - last).toFixed(1)} |`;
    last = ms;
  }
}
