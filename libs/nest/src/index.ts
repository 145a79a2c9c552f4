export { lifecycle, type Startable } from './lifecycle.ts';
export { loggerBridge } from './logger-bridge.ts';
export { runService, type ServiceOptions } from './run-service.ts';
