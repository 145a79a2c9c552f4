import { DockerClient } from './docker-client.ts';
import type { Pair } from './engines.ts';
import { measureStreamsOfNetworks } from './network-streams.ts';
import { measurePublishedPort } from './published-port.ts';
import { quantile } from './statistics.ts';

const NETWORK = 'bench-net';
const CONTAINERS = 100;

/** Networks of users: streams within a host and between two, requests to a published port, connecting many containers. */
export async function measureNetworks(pair: Pair): Promise<void> {
  const client = new DockerClient(pair.atoll.dockerHost);
  await client.call('POST', '/networks/create', { Name: NETWORK });
  await measureStreamsOfNetworks(pair, NETWORK);
  await measurePublishedPort(pair);
  await connectMany(client);
  await client.call('DELETE', `/networks/${NETWORK}`);
  client.close();
}

/** A network, and 100 running containers over three hosts connected to it one after the other. */
async function connectMany(client: DockerClient): Promise<void> {
  const ids: string[] = [];
  for (let index = 0; index < CONTAINERS; index++) {
    const body = { Image: 'busybox', Cmd: ['sleep', '3600'], HostConfig: { NetworkMode: NETWORK } };
    const { Id } = JSON.parse(await client.call('POST', '/containers/create', body)) as { Id: string };
    await client.call('POST', `/containers/${Id}/start`);
    ids.push(Id);
  }
  const start = performance.now();
  await client.call('POST', '/networks/create', { Name: 'bench-many', Driver: 'overlay' });
  const made = performance.now() - start;
  const times: number[] = [];
  for (const Container of ids) {
    const begun = performance.now();
    await client.call('POST', '/networks/bench-many/connect', { Container });
    times.push(performance.now() - begun);
  }
  const tenth = (from: number) => quantile(times.slice(from, from + 10), 0.5).toFixed(1);
  console.log(
    `network create ${made.toFixed(1)} ms; connect of ${CONTAINERS} containers over 3 hosts: ${(performance.now() - start).toFixed(0)} ms in all, median of the first ten ${tenth(0)} ms, of the last ten ${tenth(90)} ms`,
  );
  for (const id of ids) await client.call('DELETE', `/containers/${id}?force=1`);
  await client.call('DELETE', '/networks/bench-many');
}
