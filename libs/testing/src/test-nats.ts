import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { deadlineExceeded, failedPrecondition } from '@atoll/errors';
import { natsBinary } from './nats-binary.ts';

/** A real nats-server with JetStream on files, on a loopback port of its own. */
export interface TestNats {
  /** The same over restarts. */
  readonly url: string;
  readonly directory: string;
  /** True when every acknowledged write is on disk (`sync_interval: always`, nats-server 2.10 and newer). */
  readonly durable: boolean;
  /** kill -9; what was acknowledged has to be there after `restart()`. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 10_000;

export async function startNats(): Promise<TestNats> {
  const binary = natsBinary();
  const durable = supportsSyncAlways(binary);
  const directory = await mkdtemp(join(tmpdir(), 'atoll-nats-'));
  let port = -1; // -1: nats-server picks a free one
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    const config = [
      `listen: "127.0.0.1:${port}"`,
      `jetstream { store_dir: ${JSON.stringify(join(directory, 'js'))}${durable ? ', sync_interval: always' : ''} }`,
      `ports_file_dir: ${JSON.stringify(directory)}`,
    ].join('\n');
    await writeFile(join(directory, 'nats.conf'), config);
    child = spawn(binary, ['-c', join(directory, 'nats.conf')], { stdio: 'ignore' });
    port = await readPort(directory, child);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };

  await start();
  return {
    get url() {
      return `nats://127.0.0.1:${port}`;
    },
    directory,
    durable,
    kill: () => end('SIGKILL'),
    restart: start,
    stop: async () => {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function readPort(directory: string, child: ChildProcess): Promise<number> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw failedPrecondition(`nats-server ended with code ${child.exitCode}`);
    const name = (await readdir(directory)).find((file) => file.endsWith(`_${child.pid}.ports`));
    const text = name ? await readFile(join(directory, name), 'utf8') : '';
    const match = /"nats:\/\/127\.0\.0\.1:(\d+)"/.exec(text);
    if (match) return Number(match[1]);
    await sleep(10);
  }
  throw deadlineExceeded(`nats-server did not listen within ${START_LIMIT_MS} ms`);
}

function supportsSyncAlways(binary: string): boolean {
  const [, major, minor] = /v(\d+)\.(\d+)/.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' })) ?? [];
  return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 10);
}
