import type { containerV1, nodeV1 } from '@atoll/proto';

/** One container as the cluster knows it: what is wanted, what is seen, and where. */
export interface ContainerView {
  readonly record: containerV1.ContainerRecord;
  readonly spec: containerV1.ContainerSpec;
  /** Undefined until its node has reported it. */
  readonly status: containerV1.ContainerStatus | undefined;
  readonly node: nodeV1.NodeRecord | undefined;
}
