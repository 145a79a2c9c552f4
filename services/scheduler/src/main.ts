import { createLogger } from '@atoll/logging';
import { runService } from '@atoll/nest';
import { SchedulerModule } from './scheduler.module.ts';

await runService({ module: SchedulerModule, logger: createLogger({ service: 'scheduler' }) });
