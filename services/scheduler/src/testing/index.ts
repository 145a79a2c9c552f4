export { SimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';
export { SimulatedContainers } from './simulated-containers.ts';
export { startTestCluster, type TestCluster, type TestClusterOptions } from './test-cluster.ts';
