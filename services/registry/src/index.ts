export { type RegistryConfig, registryConfig } from './config.ts';
export { Registry, type RegistryParts } from './registry.ts';
