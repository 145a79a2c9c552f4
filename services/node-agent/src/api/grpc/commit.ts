import { conflict } from '@atoll/errors';
import { containerV1, type runtimeV1 } from '@atoll/proto';
import type { CallContext } from '@atoll/rpc';
import type { ContainerManager } from '../../containers/container-manager.ts';
import type { LayerCommitter } from '../../steps/layer-committer.ts';

const S = containerV1.ContainerState;

/** RuntimeService.CommitLayer: the container's own files as a layer in the image store. Throws conflict when it is on its way out. */
export async function commitLayer(
  containers: ContainerManager,
  committer: Pick<LayerCommitter, 'capture'>,
  request: runtimeV1.CommitLayerRequest,
  context: CallContext,
): Promise<runtimeV1.CommitLayerResponse> {
  const container = containers.get(request.containerId);
  const { state } = container.status;
  if (state === S.DEAD) throw conflict(`You cannot commit container ${container.id} which is Dead`);
  if (state === S.REMOVING) throw conflict(`You cannot commit container ${container.id} which is being removed`);
  const signal = AbortSignal.any([context.signal, container.leaving]);
  const capture = async (): Promise<containerV1.Layer | undefined> => {
    const layer = await committer.capture(container.upperDirectory, signal);
    // A removal that began meanwhile took files away under our eyes.
    signal.throwIfAborted();
    return layer;
  };
  const layer = request.pause ? await container.freeze.during(capture) : await capture();
  return { layer, status: container.status };
}
