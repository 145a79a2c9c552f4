import { createLogger } from '@atoll/logging';
import { runService } from '@atoll/nest';
import { RegistryModule } from './registry.module.ts';

await runService({ module: RegistryModule, logger: createLogger({ service: 'registry' }) });
