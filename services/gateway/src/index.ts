export { configSchema, type GatewayConfig } from './config.ts';
export { Gateway, type GatewayOptions } from './gateway.ts';
