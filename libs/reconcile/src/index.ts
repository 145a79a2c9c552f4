export { type DesiredContainer, type ReportedContainer, survivesItsHost } from './container.ts';
export { type LossStep, planNodeLoss } from './node-loss.ts';
export { planResync, type ResyncInput, type ResyncStep } from './resync.ts';
