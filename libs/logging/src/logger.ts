import { type Logger, pino } from 'pino';

export type { Logger };

export interface LoggerOptions {
  readonly service: string;
  /** trace, debug, info, warn, error, fatal; default `ATOLL_LOG_LEVEL`, else info. */
  readonly level?: string;
}

/** JSON lines on standard output. Fields that hold secrets are cut wherever they stand, whoever logs them. */
export function createLogger(options: LoggerOptions): Logger {
  return pino({
    name: options.service,
    level: options.level ?? process.env['ATOLL_LOG_LEVEL'] ?? 'info',
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'password',
        'token',
        'auth',
        'key',
        '*.password',
        '*.token',
        '*.auth',
        '*.key',
        '*.identityToken',
        '*.registryToken',
      ],
      censor: '[secret]',
    },
  });
}
