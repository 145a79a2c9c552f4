import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { clusterNames } from '@atoll/hosts';
import type { Cluster } from './cluster.ts';

const NATIVE = join(import.meta.dirname, '../../services/node-agent/native');

/** What passes the cable of a host, counted by what is in it, until the end of the scope. */
export class Wire implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #frames: Buffer[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param index of the host, from 1 */
  static async listen(cluster: Pick<Cluster, 'name' | 'dataRoot'>, index: number): Promise<Wire> {
    execFileSync('flock', [NATIVE, 'make', '--silent', '-C', NATIVE, 'build/probe']);
    const device = clusterNames(`${cluster.name} ${cluster.dataRoot}`).cable(index);
    const child = spawn(join(NATIVE, 'build/probe'), ['capture', device], { stdio: ['ignore', 'pipe', 'inherit'] });
    const wire = new Wire(child);
    const lines = createInterface({ input: child.stdout });
    const [first] = (await once(lines, 'line', { signal: AbortSignal.timeout(10_000) })) as [string];
    if (first !== 'bound') throw new Error(`cannot listen on ${device}: ${first}`);
    lines.on('line', (line) => wire.#frames.push(Buffer.from(line, 'hex')));
    return wire;
  }

  holding(text: string): number {
    return this.#frames.filter((frame) => frame.includes(text)).length;
  }

  /** UDP over IPv4. */
  toPort(port: number): number {
    return this.#frames.filter((frame) => {
      const isUdp = frame.readUInt16BE(12) === 0x0800 && frame[23] === 17;
      return isUdp && frame.readUInt16BE(14 + ((frame[14] ?? 0) & 15) * 4 + 2) === port;
    }).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
