import type { Logger } from '@atoll/logging';
import type { LoggerService } from '@nestjs/common';

/** Nest's own messages in the service's log: its narration at debug, its complaints as they are. */
export function loggerBridge(logger: Logger): LoggerService {
  return {
    log: (message: unknown) => logger.debug(String(message)),
    debug: (message: unknown) => logger.trace(String(message)),
    verbose: (message: unknown) => logger.trace(String(message)),
    warn: (message: unknown) => logger.warn(String(message)),
    error: (message: unknown, ...rest: unknown[]) => logger.error({ rest }, String(message)),
    fatal: (message: unknown, ...rest: unknown[]) => logger.fatal({ rest }, String(message)),
  };
}
