export { type AgentConfig, configSchema } from './config.ts';
export { composeAgent } from './compose-agent.ts';
export { NodeAgentModule } from './node-agent.module.ts';
