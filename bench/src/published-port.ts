import { execFileSync } from 'node:child_process';
import { Agent, get } from 'node:http';
import { hostAddress, on } from './atoll-host.ts';
import { cliOf } from './docker-cli.ts';
import type { Engine } from './engine.ts';
import type { Pair } from './engines.ts';
import { quantile } from './statistics.ts';
import { within } from './throughput.ts';
import { warmUp } from './warm-up.ts';

const ROUNDS = 5;
const REQUESTS = 2_000;
const AT_ONCE = 8;
/** Where dockerd's namespace is reached from the machine's, as Atoll's hosts are. */
const LINK = { machine: '10.219.255.1', dockerd: '10.219.255.2' };

/** Requests, each over a connection of its own, from the machine to an address of the host. */
export async function measurePublishedPort({ atoll, dockerd }: Pair): Promise<void> {
  const unlink = linkDockerd(dockerd.pid);
  try {
    const sides = [
      { ...webServer(atoll, hostAddress(atoll, 'h1'), on('h1')), rates: [] as number[] },
      { ...webServer(dockerd, LINK.dockerd, []), rates: [] as number[] },
    ];
    for (const { url } of sides) await warmUp(() => request(url));
    for (let round = 0; round < ROUNDS; round++) {
      for (const { url, rates } of sides) rates.push(await requests(url));
    }
    for (const { end } of sides) end();
    const [ours = 0, theirs = 0] = sides.map(({ rates }) => quantile(rates, 0.5));
    console.log(
      `requests to a published port, ${AT_ONCE} at once: atoll ${ours.toFixed(0)}/s, dockerd ${theirs.toFixed(0)}/s, ratio ${(ours / theirs).toFixed(2)} (goal 1)`,
    );
  } finally {
    unlink();
  }
}

function webServer(engine: Engine, host: string, placed: string[]): { readonly url: string; end(): void } {
  const docker = cliOf(engine);
  const serve = 'mkdir -p /w; echo ok >/w/index.html; exec httpd -f -p 80 -h /w';
  const id = docker('run', '-d', '-p', '80', ...placed, 'busybox', 'sh', '-c', serve);
  const port = docker('port', id, '80').split('\n')[0]?.split(':').at(-1);
  return { url: `http://${host}:${port}/`, end: () => void docker('rm', '-f', id) };
}

const once = new Agent({ keepAlive: false });

function request(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { agent: once }, (response) => response.resume().on('end', resolve).on('error', reject)).on(
      'error',
      reject,
    );
  });
}

async function requests(url: string): Promise<number> {
  let left = REQUESTS;
  const start = performance.now();
  const worker = async (): Promise<void> => {
    while (left-- > 0) await request(url);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return REQUESTS / ((performance.now() - start) / 1000);
}

function linkDockerd(pid: number): () => void {
  const ip = (...args: string[]): void => void execFileSync('ip', args);
  ip('link', 'add', 'atollbench0', 'type', 'veth', 'peer', 'name', 'bench0', 'netns', String(pid));
  ip('addr', 'add', `${LINK.machine}/30`, 'dev', 'atollbench0');
  ip('link', 'set', 'atollbench0', 'up');
  const inside = { prefix: ['nsenter', '-n', '-t', String(pid)] };
  within(inside, 'ip', 'addr', 'add', `${LINK.dockerd}/30`, 'dev', 'bench0');
  within(inside, 'ip', 'link', 'set', 'bench0', 'up');
  return () => ip('link', 'del', 'atollbench0');
}
