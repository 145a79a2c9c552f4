import { type Claim, type Constraint, NodeInfo, Pipeline, parseConstraint } from '@atoll/scheduling';

/**
 * Placements a second on clusters of 1,000 and 5,000 hosts, in one thread. Counted per second of CPU time as well, so that a busy
 * machine does not change the answer. swarmkit's scheduler does 4,400 a second at 1,000 hosts on the project's machine;
 * kube-scheduler's own test asks for 810 at 5,000.
 */
const SECONDS = 3;
const BATCH = 50;
const CLAIM: Claim = { memory: 64 * 2 ** 20, nanoCpus: 1e7, ports: [] };

function hosts(count: number): Map<string, NodeInfo> {
  const nodes = new Map<string, NodeInfo>();
  for (let i = 0; i < count; i++) {
    const id = `h${i}`;
    const facts = {
      id,
      hostname: id,
      os: 'linux',
      architecture: 'amd64',
      runtimes: new Set(['native']),
      labels: { zone: `z${i % 3}` },
    };
    nodes.set(
      id,
      new NodeInfo({ ...facts, memory: 64 * 2 ** 30, nanoCpus: 32e9 }, { ready: true, availability: 'active' }),
    );
  }
  return nodes;
}

function measure(count: number, name: string, constraints: readonly Constraint[]): void {
  const nodes = hosts(count);
  const pipeline = new Pipeline();
  const begin = performance.now();
  const cpuBegin = process.cpuUsage();
  let placed = 0;
  while (performance.now() - begin < SECONDS * 1_000) {
    for (let i = 0; i < BATCH; i++) pipeline.place(nodes, { claim: CLAIM, constraints }).node?.add(CLAIM);
    placed += BATCH;
  }
  const seconds = (performance.now() - begin) / 1_000;
  const cpu = process.cpuUsage(cpuBegin);
  const perSecond = Math.round(placed / seconds);
  const perCpuSecond = Math.round(placed / ((cpu.user + cpu.system) / 1e6));
  console.log(`${count} hosts, ${name}: ${perSecond} placements/s, ${perCpuSecond} per CPU second`);
}

export async function measurePlacement(): Promise<void> {
  for (const count of [1_000, 5_000]) {
    measure(count, 'no constraint', []);
    measure(count, 'one constraint', [parseConstraint('node.labels.zone!=z2')]);
  }
}
