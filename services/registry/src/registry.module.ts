import type { Bus } from '@atoll/bus';
import { createLogger, type Logger } from '@atoll/logging';
import { lifecycle } from '@atoll/nest';
import { loadTlsIdentity, type TlsIdentity } from '@atoll/rpc';
import { Module } from '@nestjs/common';
import { connectNats } from './adapters/connect-nats.ts';
import { type RegistryConfig, registryConfig } from './config.ts';
import { Registry } from './registry.ts';

const CONFIG = Symbol('config');
const LOGGER = Symbol('logger');
const IDENTITY = Symbol('identity');
const BUS = Symbol('bus');
const REGISTRY = Symbol('registry');

/** Composition root: from the environment to a listening registry. */
@Module({
  providers: [
    { provide: CONFIG, useFactory: () => registryConfig() },
    { provide: LOGGER, useFactory: () => createLogger({ service: 'registry' }) },
    {
      provide: IDENTITY,
      inject: [CONFIG],
      useFactory: (config: RegistryConfig) => loadTlsIdentity(config.ATOLL_TLS_DIR),
    },
    { provide: BUS, inject: [CONFIG, LOGGER], useFactory: connectNats },
    { provide: REGISTRY, inject: [CONFIG, IDENTITY, BUS, LOGGER], useFactory: createRegistry },
    lifecycle('registry lifecycle', REGISTRY),
  ],
})
export class RegistryModule {}

function createRegistry(config: RegistryConfig, tls: TlsIdentity, bus: Bus, logger: Logger) {
  const registry = new Registry({ config, tls, bus, logger });
  return {
    start: () => registry.start(),
    stop: async () => {
      await registry.stop();
      await bus.close();
    },
  };
}
