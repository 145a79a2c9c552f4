import type { AtollEngine } from './atoll-engine.ts';
import { hostAddress, hostPlace, on } from './atoll-host.ts';
import { cliOf } from './docker-cli.ts';
import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { quantile } from './statistics.ts';
import { compileStream, type Place, STREAM_MOUNT, throughput, within } from './throughput.ts';

const ROUNDS = 15;

/** One TCP stream between two containers. */
export async function measureStreamsOfNetworks({ atoll, dockerd }: Pair, network: string): Promise<void> {
  compileStream();
  await oneHost(atoll, dockerd, network);
  await twoHosts(atoll, network);
}

async function oneHost(atoll: Engine, dockerd: Engine, network: string): Promise<void> {
  const sides = [
    { rates: [] as number[], ...pairOf(atoll, ['--network', network], on('h1'), on('h1')) },
    { rates: [] as number[], ...pairOf(dockerd, [], [], []) },
  ];
  for (let round = 0; round < ROUNDS; round++) {
    for (const { rates, from, to, address } of sides) rates.push(await throughput(from, to, address));
  }
  for (const { end } of sides) end();
  const [ours = 0, theirs = 0] = sides.map(({ rates }) => quantile(rates, 0.5));
  console.log(
    `container to container on one host: atoll, network of a user ${ours.toFixed(1)} Gbit/s, dockerd's bridge ${theirs.toFixed(1)} Gbit/s, ratio ${(ours / theirs).toFixed(2)} (goal 0.95)`,
  );
}

/** Beside it a VXLAN without containers, learning and rules between the same two hosts. */
async function twoHosts(atoll: AtollEngine, network: string): Promise<void> {
  const containers = pairOf(atoll, ['--network', network], on('h1'), on('h2'));
  const plain = plainVxlan(atoll);
  const rates = { containers: [] as number[], plain: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    rates.containers.push(await throughput(containers.from, containers.to, containers.address));
    rates.plain.push(await throughput(plain.from, plain.to, plain.address));
  }
  containers.end();
  plain.end();
  const [ours, theirs] = [quantile(rates.containers, 0.5), quantile(rates.plain, 0.5)];
  console.log(
    `container to container on two hosts: ${ours.toFixed(2)} Gbit/s, plain VXLAN ${theirs.toFixed(2)} Gbit/s, ratio ${(ours / theirs).toFixed(2)} (goal 0.9)`,
  );
}

interface StreamEnds {
  readonly from: Place;
  readonly to: Place;
  readonly address: string;
  end(): void;
}

function pairOf(engine: Engine, options: string[], from: string[], to: string[]): StreamEnds {
  const docker = cliOf(engine);
  const [a = '', b = ''] = [from, to].map((placed) =>
    docker('run', '-d', ...STREAM_MOUNT, ...options, ...placed, 'busybox', 'sleep', '3600'),
  );
  const address = docker('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', b);
  const place = (id: string): Place => ({
    prefix: ['docker', 'exec', id],
    env: { DOCKER_HOST: engine.dockerHost },
  });
  return { from: place(a), to: place(b), address, end: () => void docker('rm', '-f', a, b) };
}

function plainVxlan(atoll: AtollEngine): StreamEnds {
  const [from, to] = [hostPlace(atoll, 'h1'), hostPlace(atoll, 'h2')];
  const [fromIp, toIp] = [hostAddress(atoll, 'h1'), hostAddress(atoll, 'h2')];
  const ends = [
    { place: from, local: fromIp, remote: toIp, address: '10.219.254.1' },
    { place: to, local: toIp, remote: fromIp, address: '10.219.254.2' },
  ];
  for (const { place, local, remote, address } of ends) {
    const device = ['type', 'vxlan', 'id', '4242', 'dstport', '4790', 'local', local, 'remote', remote, 'nolearning'];
    within(place, 'ip', 'link', 'add', 'benchvx', ...device);
    within(place, 'ip', 'addr', 'add', `${address}/30`, 'dev', 'benchvx');
    within(place, 'ip', 'link', 'set', 'benchvx', 'up');
  }
  return {
    from,
    to,
    address: '10.219.254.2',
    end: () => {
      for (const { place } of ends) within(place, 'ip', 'link', 'del', 'benchvx');
    },
  };
}
