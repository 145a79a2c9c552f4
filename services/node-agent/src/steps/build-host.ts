import type { RootReader, RootWriter } from '../archive/root-filesystem.ts';
import type { PlanHost } from '../containers/container-plan.ts';
import type { LayerStore } from '../images/layer-store.ts';
import type { HostNetwork } from '../network/host-network.ts';
import type { ShimSpawner } from '../runtime/shim-spawner.ts';
import type { ShimTools } from '../runtime/shim-tools.ts';
import type { LayerCommitter } from './layer-committer.ts';
import type { StepWorkspaces } from './step-workspaces.ts';

/** What the steps of builds need of this host. */
export interface BuildHost {
  readonly workspaces: StepWorkspaces;
  readonly committer: LayerCommitter;
  readonly layers: LayerStore;
  readonly filesystem: RootReader & RootWriter;
  readonly tools: ShimTools;
  readonly spawner: ShimSpawner;
  readonly network: HostNetwork;
  readonly host: PlanHost;
  readonly initLayer: string;
  /** A folder with nothing in it: what lies below a step FROM scratch. */
  readonly emptyLayer: string;
}
