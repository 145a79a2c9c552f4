import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { failedPrecondition } from '@atoll/errors';

/** A redis-server of one test, on a unix socket in a folder of its own. */
export interface TestRedis {
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

const BINARIES = ['/usr/bin/redis-server', '/usr/local/bin/redis-server'];

/** Starts redis-server without persistence. Errors: failed-precondition when the machine has none. */
export async function startRedis(): Promise<TestRedis> {
  const binary = BINARIES.find((path) => existsSync(path));
  if (binary === undefined) {
    throw failedPrecondition('redis-server is missing, tests need it: apt-get install redis-server');
  }
  const dir = await mkdtemp(join(tmpdir(), 'atoll-redis-'));
  const socket = join(dir, 'redis.sock');
  const args = ['--port', '0', '--unixsocket', socket, '--dir', dir, '--save', '', '--appendonly', 'no'];
  const child = spawn(binary, args, { stdio: 'ignore' });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await rm(dir, { recursive: true, force: true });
  };
  for (let tries = 0; !existsSync(socket); tries += 1) {
    if (child.exitCode !== null || tries > 500) {
      await stop();
      throw failedPrecondition('redis-server did not come up within 10 s');
    }
    await sleep(20);
  }
  return { url: `unix://${socket}`, process: child, stop };
}
