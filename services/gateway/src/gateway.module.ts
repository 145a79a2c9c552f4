import { loadConfig } from '@atoll/config';
import { lifecycle } from '@atoll/nest';
import { Module } from '@nestjs/common';
import { configSchema, type GatewayConfig } from './config.ts';
import { connectGateway } from './connect-gateway.ts';

const CONFIG = Symbol('config');
const GATEWAY = Symbol('gateway');

/** Composition root: from the environment to a served Docker API. */
@Module({
  providers: [
    { provide: CONFIG, useFactory: () => loadConfig(configSchema) },
    { provide: GATEWAY, inject: [CONFIG], useFactory: (config: GatewayConfig) => connectGateway(config) },
    lifecycle('gateway lifecycle', GATEWAY),
  ],
})
export class GatewayModule {}
