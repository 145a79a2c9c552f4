import type { AuthConfig } from '@atoll/docker-api';
import type { eventV1, imageV1, nodeV1 } from '@atoll/proto';
import type { ContainerLookup, ContainerQuestions } from '../container/backend.ts';
import type { VolumeLookup, VolumeQuestions } from '../volume/backend.ts';

export interface NodeView {
  readonly record: nodeV1.NodeRecord;
  readonly status: nodeV1.NodeStatus | undefined;
}

export interface StoreUsage {
  readonly blobBytes: number;
  readonly images: readonly imageV1.Image[];
}

export interface EventQuery {
  readonly sinceNs: bigint | undefined;
  readonly untilNs: bigint | undefined;
  readonly signal: AbortSignal;
}

export type AuthVerdict =
  | { readonly accepted: true; readonly identityToken: string }
  | { readonly accepted: false; readonly why: string };

export interface SystemBackend extends ContainerLookup, ContainerQuestions, VolumeLookup, VolumeQuestions {
  /** Stable for the life of the cluster. */
  clusterId(): string;
  nodes(): readonly NodeView[];
  storeUsage(signal: AbortSignal): Promise<StoreUsage>;
  /** Ends at `untilNs`; without `sinceNs` only what happens from now on. */
  events(query: EventQuery): AsyncIterable<eventV1.Event>;
  /** Asks the registry whether it takes the credentials. @throws unavailable when it cannot be reached */
  checkAuth(auth: AuthConfig, signal: AbortSignal): Promise<AuthVerdict>;
}
