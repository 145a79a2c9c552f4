export { type GatewayConfig, configSchema } from './config.ts';
export { Gateway, type GatewayOptions } from './gateway.ts';
