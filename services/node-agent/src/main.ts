import { createLogger } from '@atoll/logging';
import { runService } from '@atoll/nest';
import { NodeAgentModule } from './node-agent.module.ts';

await runService({ module: NodeAgentModule, logger: createLogger({ service: 'node-agent' }) });
