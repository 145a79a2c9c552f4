export { ClusterPaths } from './cluster/cluster-paths.ts';
export { type ClusterState, readLiveState } from './cluster/cluster-state.ts';
export { sendOrder } from './cluster/control-client.ts';
