import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterNames } from '@atoll/hosts';
import { run } from './run.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A cluster of the `atoll` command with a name, data and run folder of its own. */
export interface Cluster {
  readonly name: string;
  readonly dataRoot: string;
  readonly dockerHost: string;
}

/** `atoll <args>` of this checkout, as built; throws with its output when it fails. */
export async function atoll(
  cluster: Pick<Cluster, 'name' | 'dataRoot'>,
  args: readonly string[],
  timeoutMs = 120_000,
): Promise<string> {
  const [command = '', ...rest] = args;
  const result = await run(
    join(ROOT, 'atoll'),
    [command, '--name', cluster.name, '--data-root', cluster.dataRoot, ...rest],
    { timeoutMs },
  );
  if (result.code !== 0)
    throw new Error(`atoll ${args.join(' ')}: code ${result.code}\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

export async function startCluster(hosts: number, args: readonly string[] = []): Promise<Cluster> {
  const name = `e2e${randomBytes(3).toString('hex')}`;
  const cluster = { name, dataRoot: mkdtempSync(join(tmpdir(), 'atoll-e2e-')) };
  await atoll(cluster, ['up', '--hosts', String(hosts), '--detach', ...args], 180_000);
  return { ...cluster, dockerHost: `unix:///run/atoll/${name}/docker.sock` };
}

export async function stopCluster(cluster: Cluster): Promise<void> {
  await atoll(cluster, ['down', '--purge']);
  rmSync(cluster.dataRoot, { recursive: true, force: true });
}

/** What names the cluster anywhere in the system after it has gone: nothing may. */
export async function leftovers(cluster: Cluster): Promise<string[]> {
  const found: string[] = [];
  const { stdout: processes } = await run('ps', ['-eo', 'pid,args']);
  for (const line of processes.split('\n')) {
    if (line.includes(cluster.dataRoot) || line.includes(`/run/atoll/${cluster.name}/`))
      found.push(`process ${line.trim()}`);
  }
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    if (line.includes(cluster.dataRoot) || line.includes(`/run/atoll/${cluster.name}`)) found.push(`mount ${line}`);
  }
  const { stdout: groups } = await run('find', ['/sys/fs/cgroup', '-type', 'd', '-path', `*atoll*${cluster.name}*`]);
  for (const line of groups.split('\n').filter(Boolean)) found.push(`cgroup ${line}`);
  const { stdout: namespaces } = await run('ip', ['netns', 'list']);
  for (const line of namespaces.split('\n')) if (line.includes(cluster.name)) found.push(`netns ${line}`);
  const { nftTable } = clusterNames(`${cluster.name} ${cluster.dataRoot}`);
  const { stdout: links } = await run('ip', ['-o', 'link', 'show']);
  const { stdout: tables } = await run('nft', ['list', 'tables']);
  for (const line of [...links.split('\n'), ...tables.split('\n')]) if (line.includes(nftTable)) found.push(line);
  for (const path of [`/run/atoll/${cluster.name}`, cluster.dataRoot]) if (existsSync(path)) found.push(`file ${path}`);
  return found;
}
