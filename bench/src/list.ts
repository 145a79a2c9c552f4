import { DockerClient } from './docker-client.ts';
import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { quantile } from './statistics.ts';
import { warmUp } from './warm-up.ts';

const AT_ONCE = 10;
const ROUNDS = 40;

/** `GET /containers/json`: ours with 500 running containers over three hosts, dockerd's with 50. */
export async function measureList({ atoll, dockerd }: Pair): Promise<void> {
  const ours = await lists(atoll, 500);
  const theirs = await lists(dockerd, 50);
  const show = (values: readonly number[]) => [0, 0.5, 0.9].map((q) => quantile(values, q).toFixed(1)).join(' / ');
  console.log(
    `list, ms (min / median / p90): atoll with 500 containers ${show(ours)}, dockerd with 50 ${show(theirs)}, ratio ${(quantile(ours, 0.5) / quantile(theirs, 0.5)).toFixed(2)} (goal 0.3)`,
  );
}

async function lists(engine: Engine, count: number): Promise<number[]> {
  const client = new DockerClient(engine.dockerHost);
  const ids: string[] = [];
  await inParallel(count, async () => {
    const body = { Image: 'busybox', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: 'none' } };
    const { Id } = JSON.parse(await client.call('POST', '/containers/create', body)) as { Id: string };
    ids.push(Id);
    await client.call('POST', `/containers/${Id}/start`);
  });
  const times: number[] = [];
  await warmUp(async () => void (await client.call('GET', '/containers/json')));
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    const text = await client.call('GET', '/containers/json');
    times.push(performance.now() - start);
    const seen = JSON.parse(text) as unknown[];
    if (seen.length !== count) throw new Error(`${engine.name} lists ${seen.length} containers of ${count}`);
  }
  await inParallel(ids.length, async () => void (await client.call('DELETE', `/containers/${ids.pop()}?force=1`)));
  client.close();
  return times;
}

async function inParallel(count: number, task: () => Promise<void>): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await task();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
