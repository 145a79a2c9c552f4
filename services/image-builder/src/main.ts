import { createLogger } from '@atoll/logging';
import { runService } from '@atoll/nest';
import { ImageBuilderModule } from './image-builder.module.ts';

await runService({ module: ImageBuilderModule, logger: createLogger({ service: 'image-builder' }) });
