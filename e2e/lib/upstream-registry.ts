import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** A registry of another make (Debian's docker-registry) on loopback: what the cluster pulls from and pushes to. */
export interface UpstreamRegistry {
  /** `127.0.0.1:<port>`. */
  readonly address: string;
  stop(): Promise<void>;
}

export async function startUpstreamRegistry(): Promise<UpstreamRegistry> {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-e2e-registry-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: folder } },
    http: { addr: address },
  };
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config)); // JSON is YAML
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  child.on('error', () => undefined); // a missing program shows as a registry that never answers
  await until('the upstream registry (Debian package docker-registry)', async () => {
    const answer = await fetch(`http://${address}/v2/`).catch(() => undefined);
    return answer?.ok ?? false;
  });
  return {
    address,
    stop: async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
