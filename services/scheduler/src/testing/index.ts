export { watchDesired } from './desired-view.ts';
export { NetworkBench } from './network-bench.ts';
export { createNetwork } from './network-requests.ts';
export { createContainer, newContainerId, type SpecInput, until } from './requests.ts';
export { SimulatedAgent, type SimulatedAgentOptions } from './simulated-agent.ts';
export { SimulatedContainers } from './simulated-containers.ts';
export { startTestCluster, type TestCluster, type TestClusterOptions, type TestReplica } from './test-cluster.ts';
