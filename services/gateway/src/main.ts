import { createLogger } from '@atoll/logging';
import { runService } from '@atoll/nest';
import { GatewayModule } from './gateway.module.ts';

await runService({ module: GatewayModule, logger: createLogger({ service: 'gateway' }) });
