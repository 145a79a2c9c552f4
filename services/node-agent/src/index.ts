export { composeAgent } from './compose-agent.ts';
export { type AgentConfig, configSchema } from './config.ts';
export { NodeAgentModule } from './node-agent.module.ts';
