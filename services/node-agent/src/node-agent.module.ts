import { loadConfig } from '@atoll/config';
import { createLogger, type Logger } from '@atoll/logging';
import { lifecycle } from '@atoll/nest';
import { loadTlsIdentity } from '@atoll/rpc';
import { Module } from '@nestjs/common';
import type { NodeAgent } from './agent/node-agent.ts';
import { composeAgent } from './compose-agent.ts';
import { type AgentConfig, configSchema } from './config.ts';

export const CONFIG = Symbol('config');
export const LOGGER = Symbol('logger');
export const NODE_AGENT = Symbol('node agent');

/** Composition root of the service. */
export class NodeAgentModule {}

// Called, not written with `@`: the file then runs as it is, without being compiled first.
Module({
  providers: [
    { provide: CONFIG, useFactory: (): AgentConfig => loadConfig(configSchema) },
    { provide: LOGGER, useFactory: (): Logger => createLogger({ service: 'node-agent' }) },
    {
      provide: NODE_AGENT,
      inject: [CONFIG, LOGGER],
      useFactory: async (config: AgentConfig, logger: Logger): Promise<NodeAgent> =>
        composeAgent(config, await loadTlsIdentity(config.ATOLL_TLS_DIR), logger),
    },
    lifecycle(Symbol('node agent lifecycle'), NODE_AGENT),
  ],
})(NodeAgentModule);
