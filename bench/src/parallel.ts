import { runContainer } from './container-cycle.ts';
import { DockerClient } from './docker-client.ts';
import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { warmUp } from './warm-up.ts';

const CONTAINERS = 200;
const AT_ONCE = 10;

/** 200 containers on the bridge, ten at a time, from create to removed. */
export async function measureParallel({ atoll, dockerd }: Pair): Promise<void> {
  const ours = await throughput(atoll);
  const theirs = await throughput(dockerd);
  console.log(
    `${CONTAINERS} containers, ${AT_ONCE} at a time: atoll ${ours.toFixed(1)}/s, dockerd ${theirs.toFixed(2)}/s, ratio ${(ours / theirs).toFixed(1)} (goal 10)`,
  );
}

async function throughput(engine: Engine): Promise<number> {
  const client = new DockerClient(engine.dockerHost);
  await warmUp(() => run(client, AT_ONCE));
  const start = performance.now();
  await run(client, CONTAINERS);
  const seconds = (performance.now() - start) / 1000;
  client.close();
  return CONTAINERS / seconds;
}

async function run(client: DockerClient, count: number): Promise<void> {
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) await runContainer(client, 'bridge');
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
