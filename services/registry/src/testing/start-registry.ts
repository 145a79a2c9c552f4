import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectBus } from '@atoll/bus';
import { createLogger } from '@atoll/logging';
import { imageV1 } from '@atoll/proto';
import { Channel, type Client, type Role } from '@atoll/rpc';
import { startNats, type TestPki, testPki } from '@atoll/testing';
import { registryConfig } from '../config.ts';
import { Registry } from '../registry.ts';

/** A whole registry in this process with a nats-server of its own; everything goes when it stops. */
export interface TestRegistry {
  readonly http: string;
  readonly dataRoot: string;
  readonly natsUrl: string;
  readonly pki: TestPki;
  images(role?: Role): Promise<Client<imageV1.ImageServiceService>>;
  blobs(role?: Role): Promise<Client<imageV1.BlobServiceService>>;
  /** Deletes the names behind its back. */
  loseNames(): Promise<void>;
  /** Ends it and begins anew on the same files and names. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRegistry(environment: Record<string, string> = {}): Promise<TestRegistry> {
  const nats = await startNats();
  const pki = await testPki();
  const dataRoot = await mkdtemp(join(tmpdir(), 'atoll-registry-'));
  const tls = await pki.identity('registry', 'registry-1');
  const channels: Channel[] = [];
  const logger = createLogger({ service: 'registry', level: process.env['ATOLL_TEST_LOG'] ?? 'silent' });
  const start = async () => {
    const config = registryConfig({
      ATOLL_LISTEN: '127.0.0.1:0',
      ATOLL_LISTEN_HTTP: '127.0.0.1:0',
      ATOLL_DATA_ROOT: dataRoot,
      ATOLL_TLS_DIR: dataRoot,
      ATOLL_NATS_URL: nats.url,
      ATOLL_MIN_FREE_BYTES: '0',
      ...environment,
    });
    const bus = await connectBus({ servers: [nats.url], name: 'registry-test' });
    const registry = new Registry({ config, tls, bus, logger });
    const ports = await registry.start();
    return { ...ports, registry, bus };
  };
  let running = await start();
  const end = async (): Promise<void> => {
    for (const channel of channels.splice(0)) channel.close();
    await running.registry.stop();
    await running.bus.close();
  };
  const channel = async (role: Role): Promise<Channel> => {
    const client = await pki.identity(role, `${role}-1`);
    const made = new Channel({ address: `127.0.0.1:${running.grpcPort}`, tls: client, serverRole: 'registry' });
    channels.push(made);
    return made;
  };
  return {
    get http() {
      return `http://127.0.0.1:${running.httpPort}`;
    },
    dataRoot,
    natsUrl: nats.url,
    pki,
    loseNames: async () => {
      await running.bus.manager.streams.delete('KV_atoll_registry');
    },
    images: async (role = 'gateway') => (await channel(role)).client(imageV1.ImageServiceService),
    blobs: async (role = 'node') => (await channel(role)).client(imageV1.BlobServiceService),
    restart: async () => {
      await end();
      running = await start();
    },
    stop: async () => {
      await end();
      await nats.stop();
      await rm(dataRoot, { recursive: true, force: true });
    },
  };
}
