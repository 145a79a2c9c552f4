import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AtollEngine, startAtoll } from './atoll-engine.ts';
import { importBusybox } from './busybox.ts';

const CONTAINERS = 50;
const SETTLE_MS = 5_000;

/** Memory of an idle one-host cluster, and what one more idle container costs beyond its own process. */
export async function measureMemory(): Promise<void> {
  const engine = startAtoll(1);
  const env = { ...process.env, DOCKER_HOST: engine.dockerHost };
  try {
    importBusybox(engine);
    await sleep(SETTLE_MS);
    const idle = processesOf(engine);
    const services = [...idle].map(([pid, name]) => ({ name, bytes: pss(pid) }));
    const total = services.reduce((sum, { bytes }) => sum + bytes, 0);
    for (let i = 0; i < CONTAINERS; i++) execFileSync('docker', ['run', '-d', 'busybox', 'sleep', '3600'], { env });
    await sleep(SETTLE_MS);
    const grown = [...processesOf(engine).keys()].reduce((sum, pid) => sum + pss(pid), 0);
    const lines = services.map(({ name, bytes }) => `${name} ${mebibytes(bytes)}`).join(', ');
    console.log(`one-host cluster, idle: ${mebibytes(total)} MiB PSS (goal 500): ${lines}`);
    console.log(
      `per idle container beyond its own process: ${((grown - total) / CONTAINERS / 2 ** 20).toFixed(2)} MiB PSS (goal 1), ${CONTAINERS} containers`,
    );
  } finally {
    await engine.stop();
  }
}

/** In the order they are looked for: a service's command line may name others, its own comes first. */
const PARTS = [
  'nats-server',
  'scheduler',
  'registry',
  'image-builder',
  'gateway',
  'node-agent',
  'atoll-shim',
  'supervis',
];

/** Services, supervisor, nats-server and shims of a cluster: every process whose command line or environment names its folders. */
function processesOf(engine: AtollEngine): Map<number, string> {
  const found = new Map<number, string>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const text = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (!text.includes(engine.dataRoot) && !text.includes(engine.runDir)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      found.set(pid, PARTS.find((part) => command.includes(part)) ?? 'other');
    } catch {
      // it ended while we looked
    }
  }
  return found;
}

function pss(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
