export { createLogger, type Logger, type LoggerOptions } from './logger.ts';
export { isTracing, traceStep } from './trace.ts';
