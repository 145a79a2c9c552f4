export { CONTAINER_SERVICE_ROLES } from './api/grpc/container-service.ts';
export { IDENTITY_SERVICE_ROLES } from './api/grpc/identity-service.ts';
export { NODE_SERVICE_ROLES } from './api/grpc/node-service.ts';
export { type SchedulerConfig, schedulerConfig } from './config.ts';
export { Scheduler, type SchedulerOptions } from './scheduler.ts';
