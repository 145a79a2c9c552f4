import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { buildProbe } from '../../runtime/testing/shim-binary.ts';

/** Of an IPv4 header: the packet is a fragment. */
const MORE_OR_LATER = 0x3fff;

/** Every frame that comes to an interface of a network namespace, or leaves it, until it is disposed of. */
export class Capture {
  readonly #child: ChildProcess;
  readonly #frames: Buffer[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(namespace: string, device: string): Promise<Capture> {
    const args = [`--net=/run/netns/${namespace}`, buildProbe(), 'capture', device];
    const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const capture = new Capture(child);
    if (!child.stdout) throw new Error('a capture without an output');
    const lines = createInterface({ input: child.stdout });
    const [first] = (await once(lines, 'line', { signal: AbortSignal.timeout(10_000) })) as [string];
    if (first !== 'bound') throw new Error(`cannot capture on ${device}: ${first}`);
    lines.on('line', (line) => capture.#frames.push(Buffer.from(line, 'hex')));
    return capture;
  }

  /** How many frames hold the text. */
  holding(text: string): number {
    return this.#frames.filter((frame) => frame.includes(text)).length;
  }

  /** How many are UDP over IPv4 to the port. */
  toPort(port: number): number {
    return this.#udpTo(port).length;
  }

  /** The same of packets that are this long and in one piece; `bytes` with the IPv4 header. */
  wholeToPort(port: number, bytes: number): number {
    const isWhole = (frame: Buffer): boolean => (frame.readUInt16BE(20) & MORE_OR_LATER) === 0;
    return this.#udpTo(port).filter((frame) => frame.readUInt16BE(16) === bytes && isWhole(frame)).length;
  }

  #udpTo(port: number): readonly Buffer[] {
    return this.#frames.filter((frame) => {
      const isUdp = frame.readUInt16BE(12) === 0x0800 && frame[23] === 17;
      return isUdp && frame.readUInt16BE(14 + ((frame[14] ?? 0) & 15) * 4 + 2) === port;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}
