import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerV1, volumeV1 } from '@atoll/proto';
import { Channel, type Client, type TlsIdentity } from '@atoll/rpc';
import { compileCache, type TestNats, type TestPki } from '@atoll/testing';
import type { Failpoint } from '../domain/failpoint.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const START_MS = 20_000;

/** A scheduler in a process of its own, at the same address after each start. */
export class SchedulerProcess {
  readonly address: string;
  readonly #folder: string;
  readonly #nats: TestNats;
  readonly #gateway: TlsIdentity;
  #child: ChildProcess | undefined;
  #channel: Channel | undefined;
  output = '';

  private constructor(address: string, folder: string, nats: TestNats, gateway: TlsIdentity) {
    this.address = address;
    this.#folder = folder;
    this.#nats = nats;
    this.#gateway = gateway;
  }

  static async create(nats: TestNats, pki: TestPki): Promise<SchedulerProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'atoll-scheduler-'));
    const tls = await pki.identity('scheduler', 's1');
    await writeFile(join(folder, 'ca.pem'), tls.ca);
    await writeFile(join(folder, 'cert.pem'), tls.cert);
    await writeFile(join(folder, 'key.pem'), tls.key, { mode: 0o600 });
    const address = `127.0.0.1:${await freePort()}`;
    return new SchedulerProcess(address, folder, nats, await pki.identity('gateway', 'g1'));
  }

  /** Does not wait for it to lead: it may be killed before. */
  start(failpoint?: Failpoint): void {
    const child = spawn(process.execPath, ['--conditions=source', '--no-warnings', MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ATOLL_LISTEN: this.address,
        ATOLL_TLS_DIR: this.#folder,
        ATOLL_NATS_URL: this.#nats.url,
        ATOLL_NATS_DURABLE: 'sync',
        ...compileCache(),
        ...(failpoint && { ATOLL_FAILPOINT: failpoint }),
      },
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (piece: Buffer) => {
        this.output = (this.output + piece.toString()).slice(-50_000);
      });
    }
    this.#child = child;
  }

  get containers(): Client<typeof containerV1.ContainerServiceService> {
    return this.#connected().client(containerV1.ContainerServiceService);
  }

  get volumes(): Client<typeof volumeV1.VolumeServiceService> {
    return this.#connected().client(volumeV1.VolumeServiceService);
  }

  /** Resolves once it answers as the leader. */
  async serving(): Promise<void> {
    const deadline = performance.now() + START_MS;
    const nobody = '0'.repeat(64);
    for (;;) {
      if (this.#child?.exitCode !== null) throw new Error(`the scheduler ended:\n${this.output}`);
      const error: unknown = await this.containers
        .stopContainer({ id: nobody, signal: '' })
        .catch((cause: unknown) => cause);
      if ((error as { reason?: string }).reason === 'not-found') return;
      if (performance.now() > deadline)
        throw new Error(`the scheduler does not serve: ${String(error)}\n${this.output}`);
      await sleep(30);
    }
  }

  /** Resolves when it has been killed. */
  async crashed(): Promise<NodeJS.Signals | null> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) {
      await once(child, 'exit', { signal: AbortSignal.timeout(START_MS) });
    }
    this.#disconnect();
    return child?.signalCode ?? null;
  }

  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.crashed();
  }

  async dispose(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #connected(): Channel {
    this.#channel ??= new Channel({ address: this.address, tls: this.#gateway, serverRole: 'scheduler' });
    return this.#channel;
  }

  #disconnect(): void {
    this.#channel?.close();
    this.#channel = undefined;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
